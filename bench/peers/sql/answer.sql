with changed as (
    update request
       set version = version + 1, status = 'ANSWERED', updated_at = now()
     where id = $3 and version = $4 and (deadline_at is null or deadline_at > now())
    returning *
), answered as (
    insert into response (id, request_id, payload, answered_by)
    select $5, id, $6, $2::text::uuid from changed
)
