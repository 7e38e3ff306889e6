-- Note how far requests have got ($2: 1 notified, 2 seen, 3 opened), those that are open still; what
-- is noted already stays. In one order, so that two who note the same do not wait in a circle.
-- Returns how many have got to somebody for the first time.
with told as (
    insert into reach as h (request_id, notified_at, seen_at, opened_at)
    select r.id, n.now, case when k.level >= 2 then n.now end, case when k.level >= 3 then n.now end
      from unnest($1::text[], $2::int[]) as k (id, level)
      join request r on r.id = k.id and r.status in ('PENDING', 'CLAIMED')
     cross join (select statement_timestamp() as now) n
     order by r.id
    on conflict (request_id) do update
       set seen_at = coalesce(h.seen_at, excluded.seen_at),
           opened_at = coalesce(h.opened_at, excluded.opened_at)
     where (h.seen_at is null and excluded.seen_at is not null)
        or (h.opened_at is null and excluded.opened_at is not null)
    returning xmax = 0 as first
)
select count(*) filter (where first) as first from told
