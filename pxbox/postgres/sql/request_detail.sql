-- A request with its content, how far it has got, and what responder $2 has made of it; no row: unknown.
select r.state, s.body as schema, r.ui_hints, r.prefill, r.meta, r.why, r.context,
       h.notified_at, h.seen_at, h.opened_at,
       coalesce(m.version, 0) as mark_version, coalesce(m.read, false) as read, m.snoozed_until,
       coalesce(m.deleted, false) as deleted
  from request r join schema s on s.hash = r.schema_hash
  left join reach h on h.request_id = r.id
  left join mark m on m.request_id = r.id and m.entity_id = $2
 where r.id = $1
