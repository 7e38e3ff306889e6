insert into flow_wait (id, flow_id, key, kind, name, digest, due_at, opened_at)
select t.twin_request, t.twin_flow, w.key, w.kind, w.name, w.digest, w.due_at, w.opened_at
  from twin t join flow_wait w on w.id = t.request
