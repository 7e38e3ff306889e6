-- What this responder has made of these inquiries; what has no row was never touched.
select request_id, version, read, snoozed_until, deleted
  from mark where entity_id = $1 and request_id = any($2::text[])
