-- How many flows of each kind and state there are. What was added since the last time is put together
-- on the way, by whoever comes first; the count is that of before, which is the same. Nobody waits for
-- the disk: what a crash of the database undoes, it undoes whole.
with quick as (
    select set_config('synchronous_commit', 'off', true)
), several as (
    select kind, state from flow_tally cross join quick
     group by kind, state having count(*) > 1
), gone as (
    delete from flow_tally
     where ctid = any(array(select t.ctid from flow_tally t join several s using (kind, state)
                               for update of t skip locked))
    returning kind, state, n
), together as (
    insert into flow_tally (kind, state, n)
    select kind, state, sum(n) from gone group by kind, state having sum(n) <> 0
)
select kind, state, sum(n)::bigint as n from flow_tally group by kind, state having sum(n) <> 0
