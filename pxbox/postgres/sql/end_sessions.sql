-- Sessions that ended ($1) or that have expired: what they were running is to be run by others, and
-- what waits goes to whoever wakes it.
with ended as (
    delete from worker_session where id = $1 or expires_at <= coalesce($2, clock_timestamp())
    returning id
)
update flow f
   set session = null,
       runnable_at = case when f.runnable_at is null and not f.parked
                               and (f.status = 'RUNNING' or (f.state ->> 'compensations')::int > 0
                                    or (f.status in ('WAITING_INPUT', 'SUSPENDED')
                                        and f.wake > f.seen))
                          then coalesce($2, clock_timestamp()) else f.runnable_at end
  from ended e where f.session = e.id
returning f.id, f.kind, f.runnable_at is not null as runnable
