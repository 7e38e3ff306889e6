-- What this session was given in a reply that was lost is to be given again: flows that it does not
-- hold ($2), and the outcomes, newer than the count of wakes that it has seen ($3), and cancels of
-- those that it does.
update flow f set runnable_at = clock_timestamp()
 where f.session = $1 and f.runnable_at is null and not f.parked
   and case when f.id = any($2::text[])
            then f.status = 'CANCELLED'
                 or (f.status in ('WAITING_INPUT', 'SUSPENDED') and f.wake > f.seen
                     and f.wake > (select h.wake from unnest($2::text[], $3::bigint[]) as h (id, wake)
                                    where h.id = f.id))
            else f.status = 'RUNNING' or (f.state ->> 'compensations')::int > 0
                 or (f.status in ('WAITING_INPUT', 'SUSPENDED') and f.wake > f.seen) end
