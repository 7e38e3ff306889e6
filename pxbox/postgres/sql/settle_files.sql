-- Note which files an answer refers to; returns how many were noted.
with settled as (
    update file f set referred = true from request r
     where not f.referred and f.blob is not null and r.id = f.request_id and r.status = 'ANSWERED'
       and exists (select 1 from json_array_elements(r.state -> 'files') g where g ->> 'id' = f.id)
    returning 1
)
select count(*) as noted from settled
