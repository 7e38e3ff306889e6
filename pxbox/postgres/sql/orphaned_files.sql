-- Up to $1 files that no answer refers to, or can refer to any more: not uploaded $2 after their
-- upload could begin at the latest, or their request closed $2 ago without them. What of $3 was
-- uploaded without anybody telling the database is kept as long as its request is open.
select f.id, f.name, f.size, f.blob, f.request_id, coalesce(r.status, 'unknown') as request_status
  from file f left join request r on r.id = f.request_id
 where not f.referred
   and case
       when f.blob is null then f.until < clock_timestamp() - $2::interval
            and not (coalesce(r.status, '') in ('PENDING', 'CLAIMED') and f.id = any($3::text[]))
       when r.id is null then f.signed_at < clock_timestamp() - $2::interval
       when r.status in ('PENDING', 'CLAIMED') then false
       else (r.state ->> 'closedAt')::timestamptz < clock_timestamp() - $2::interval
            and not exists (
                select 1 from json_array_elements(r.state -> 'files') g where g ->> 'id' = f.id)
       end
 order by f.id limit $1
