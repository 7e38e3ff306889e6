select coalesce((select head from channel where name = $1), 0)
