-- How many flows of each kind and state there are. What was added since the last time is put together
-- on the way, by whoever comes first; the count is that of before, which is the same.
with gone as (
    delete from flow_tally
     where ctid = any(array(select ctid from flow_tally for update skip locked))
    returning kind, state, n
), together as (
    insert into flow_tally (kind, state, n)
    select kind, state, sum(n) from gone group by kind, state having sum(n) <> 0
)
select kind, state, sum(n)::bigint as n from flow_tally group by kind, state having sum(n) <> 0
