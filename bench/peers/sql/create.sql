with changed as (
    insert into request (id, version, status, requestor, addressee, schema_hash, title, claim_ttl,
                         deadline_at)
    values ($3, 1, 'PENDING', $2, $4, $5, $6, $7, $8)
    returning *
)
