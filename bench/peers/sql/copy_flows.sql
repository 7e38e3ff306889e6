insert into flow (id, version, commit_id, status, parked, kind, kind_version, owner, requestor,
                  created_at, state, input, cursor, result, wake, seen, runnable_at, session, fence)
select t.twin_flow, f.version, f.commit_id, f.status, f.parked, f.kind, f.kind_version, f.owner,
       f.requestor, f.created_at, replace(f.state::text, f.id, t.twin_flow)::json, f.input,
       f.cursor, f.result, f.wake, f.seen, f.runnable_at, f.session, f.fence
  from twin t join flow f on f.id = t.flow
