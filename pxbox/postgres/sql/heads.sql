select name, head, floor from channel where name = any($1::text[])
