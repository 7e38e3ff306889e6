-- The files with these ids; no row: it was never signed for, or was collected.
select id, request_id, entity_id, name, mime, size, until, blob, sha256
  from file where id = any($1::text[])
