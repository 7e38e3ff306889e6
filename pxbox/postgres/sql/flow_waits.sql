-- The waits of these flows whose outcome is newer than the count of wakes beside each; -1: all of
-- them. An answer comes from where answers are kept.
select w.flow_id, w.id, w.key, w.kind, w.name, w.digest, w.due_at, w.opened_at, w.outcome,
       w.settled_at, w.wake, w.data as detail, r.payload
  from unnest($1::text[], $2::bigint[]) as s (flow_id, since)
  join flow_wait w on w.flow_id = s.flow_id
  left join response r on w.outcome = 'answered' and r.request_id = w.id
 where s.since < 0 or (w.outcome is not null and w.wake > s.since)
 order by w.opened_at, w.id
