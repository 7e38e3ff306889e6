-- Steps, waits opened and waits settled, in the order they happened.
with happened as (
    select at, 'step' as what, key, null as kind, null as outcome, null as by, null as request_id,
           n::text as tie
      from flow_step where flow_id = $1
    union all
    select opened_at, 'opened', key, kind, null, null, case kind when 'ask' then id end, id
      from flow_wait where flow_id = $1
    union all
    select settled_at, 'settled', key, kind, outcome, data ->> 'by',
           case kind when 'ask' then id end, id
      from flow_wait where flow_id = $1 and outcome is not null
)
select at, what, key, kind, outcome, by, request_id from happened
 order by at, what, tie offset $2 limit $3
