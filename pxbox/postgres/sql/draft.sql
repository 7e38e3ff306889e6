-- A responder's draft; no row: there is none.
select payload, updated_at from draft where request_id = $1 and entity_id = $2
