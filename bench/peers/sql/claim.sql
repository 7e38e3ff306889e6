with changed as (
    update request
       set version = version + 1, status = 'CLAIMED', claimed_by = $2::text::uuid,
           claim_expires_at = now() + claim_ttl, updated_at = now()
     where id = $3 and addressee = $2::text::uuid
       and (status = 'PENDING'
            or status = 'CLAIMED' and (claimed_by = addressee or claim_expires_at < now()))
       and (deadline_at is null or deadline_at > now())
    returning *
)
