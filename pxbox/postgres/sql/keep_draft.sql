-- Keep a responder's draft, in place of the one before.
insert into draft (request_id, entity_id, payload) values ($1, $2, $3::text::json)
on conflict (request_id, entity_id) do update
   set payload = excluded.payload, updated_at = clock_timestamp()
returning updated_at
