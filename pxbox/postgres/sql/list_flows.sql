-- Newest first; ids are in the order of creation.
select id, state, wake, seen from flow
 where ($1::text[] is null or owner = any($1) or requestor = $2)
   and ($3::text is null or kind = $3)
   and ($4::text is null
        or case when status in ('WAITING_INPUT', 'SUSPENDED') and wake > seen then 'RUNNING'
                else status end = $4)
   and ($5::boolean is null or parked = $5)
   and ($6::text is null or owner = $6)
   and ($7::text is null or id < $7)
 order by id desc limit $8
