-- What this session was given and does not know of (the reply was lost) is to be given again.
update flow set runnable_at = clock_timestamp()
 where session = $1 and runnable_at is null and not parked
   and (status = 'RUNNING' or (state ->> 'compensations')::int > 0
                                    or (status in ('WAITING_INPUT', 'SUSPENDED')
                                        and wake > seen)) and id <> all($2::text[])
