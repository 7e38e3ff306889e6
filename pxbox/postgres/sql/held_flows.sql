-- Of the flows that a worker believes it holds, those that it does, with their counts of wakes.
select id, wake from flow where session = $1 and id = any($2::text[])
