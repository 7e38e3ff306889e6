-- Of the flows that a worker believes it holds, those that it does.
select id from flow where session = $1 and id = any($2::text[])
