-- A request with its content, and how far it has got; no row: unknown.
select r.state, s.body as schema, r.ui_hints, r.prefill, r.meta, r.why, r.context,
       h.notified_at, h.seen_at, h.opened_at
  from request r join schema s on s.hash = r.schema_hash
  left join reach h on h.request_id = r.id
 where r.id = $1
