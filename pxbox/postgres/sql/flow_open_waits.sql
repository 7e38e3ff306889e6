-- The waits of a flow that have no outcome yet, oldest first.
select id, kind, name from flow_wait where flow_id = $1 and outcome is null order by opened_at, id
