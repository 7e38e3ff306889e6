-- Which of these keys belong to files.
select blob from file where blob = any($1::text[])
