-- Sessions that ended ($1) or that have expired: what they were running is to be run by others. What
-- waits is left as it is, however much that is: whoever it is woken for may have it.
with ended as (
    delete from worker_session where id = $1 or expires_at <= coalesce($2, clock_timestamp())
    returning id
)
update flow f
   set session = null, runnable_at = coalesce(f.runnable_at, $2, clock_timestamp())
  from ended e
 where f.session = e.id and not f.parked
   and (f.status = 'RUNNING' or (f.state ->> 'compensations')::int > 0
        or (f.status in ('WAITING_INPUT', 'SUSPENDED') and f.wake > f.seen))
returning f.id, f.kind, true as runnable
