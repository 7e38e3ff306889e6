-- What a flow waits for now.
select id, key, kind, name, digest, due_at, opened_at, outcome, settled_at, wake, data as detail,
       null::json as payload
  from flow_wait where flow_id = $1 and outcome is null order by opened_at, id limit 1000
