-- A request with its content; no row: unknown.
select r.state, s.body as schema, r.ui_hints, r.prefill, r.meta, r.why, r.context
  from request r join schema s on s.hash = r.schema_hash
 where r.id = $1
