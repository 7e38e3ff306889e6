-- How many flows of each kind run, wait and are parked, without counting them: whatever changes a flow
-- adds the difference here. Its rows are only ever added and put together, never changed, so that no
-- commit waits for another one's count. By trigger, so that leases and sessions that end count as well.
create table flow_tally (
    kind text not null,
    state text not null,
    n bigint not null
);

-- As lists show it: a flow that an outcome has woken runs, though nobody has written that yet (F2).
-- Null: it is over.
create function px_flow_state(status text, parked boolean, wake bigint, seen bigint)
returns text language sql immutable as $$
    select case when parked then 'parked'
                when status = 'RUNNING' then 'running'
                when status in ('WAITING_INPUT', 'SUSPENDED')
                then case when wake > seen then 'running' else 'waiting' end end
$$;

create function px_tally_flows() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into flow_tally (kind, state, n)
        select c.kind, c.state, count(*)
          from (select a.kind, px_flow_state(a.status, a.parked, a.wake, a.seen) as state
                  from after a) c
         where c.state is not null
         group by c.kind, c.state;
    elsif tg_op = 'DELETE' then
        insert into flow_tally (kind, state, n)
        select c.kind, c.state, -count(*)
          from (select b.kind, px_flow_state(b.status, b.parked, b.wake, b.seen) as state
                  from before b) c
         where c.state is not null
         group by c.kind, c.state;
    else
        insert into flow_tally (kind, state, n)
        select c.kind, c.state, sum(c.n)
          from (select a.kind, px_flow_state(a.status, a.parked, a.wake, a.seen) as state, 1 as n
                  from after a
                union all
                select b.kind, px_flow_state(b.status, b.parked, b.wake, b.seen), -1
                  from before b) c
         where c.state is not null
         group by c.kind, c.state
        having sum(c.n) <> 0;
    end if;
    return null;
end $$;

create trigger flow_tally_added after insert on flow
    referencing new table as after for each statement execute function px_tally_flows();
create trigger flow_tally_changed after update on flow
    referencing old table as before new table as after
    for each statement execute function px_tally_flows();
create trigger flow_tally_gone after delete on flow
    referencing old table as before for each statement execute function px_tally_flows();

insert into flow_tally (kind, state, n)
select c.kind, c.state, count(*)
  from (select kind, px_flow_state(status, parked, wake, seen) as state from flow) c
 where c.state is not null
 group by c.kind, c.state;
