insert into request (id, version, commit_id, status, requestor, deadline_at, created_at, state,
                     schema_hash, ui_hints, prefill, meta, why, context, default_answer, search)
select t.twin_request, r.version, r.commit_id, r.status, r.requestor, r.deadline_at, r.created_at,
       replace(replace(r.state::text, r.id, t.twin_request), t.flow, t.twin_flow)::json,
       r.schema_hash, r.ui_hints, r.prefill, r.meta, r.why, r.context, r.default_answer, r.search
  from twin t join request r on r.id = t.request
