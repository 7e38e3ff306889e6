-- Flows that a worker gives up: what was running is to be run by others.
update flow
   set session = null,
       runnable_at = case when runnable_at is null and not parked
                               and (status = 'RUNNING' or (state ->> 'compensations')::int > 0
                                    or (status in ('WAITING_INPUT', 'SUSPENDED')
                                        and wake > seen))
                          then clock_timestamp() else runnable_at end
 where session = $1 and id = any($2::text[])
returning id, kind, runnable_at is not null as runnable
