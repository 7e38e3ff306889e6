insert into inquiry (request_id, entity_id, status, created_at, deadline_at, attention_at,
                     requestor, flow_id, tags, declined)
select t.twin_request, i.entity_id, i.status, i.created_at, i.deadline_at, i.attention_at,
       i.requestor, t.twin_flow, i.tags, i.declined
  from twin t join inquiry i on i.request_id = t.request
