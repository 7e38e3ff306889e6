-- The accepted answer of a request; no row: none.
select id, request_id, payload, answered_by, answered_at from response where request_id = $1
