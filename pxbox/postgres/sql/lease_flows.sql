-- Give flows that are to be run to a live session, those waiting longest first; a flow that is with
-- another live session is left to that, but for one that waits: where that session's worker has left, or
-- the broker that served it is gone, it is anybody's at once, and else where it was not come for within a
-- second. The fence keeps apart who has it; it rises only when it changes hands (F4).
--
-- Nobody waits for the disk here: what a crash of the database undoes, it undoes whole. The flow is to
-- be run as before, and the checkpoint of whoever had it then is refused, for it is not theirs.
--
-- Who has it in memory gets the outcomes that it lacks. The count of wakes is as old as they are, that of
-- before this statement: one that came since then makes the next checkpoint that would wait go on (F2).
with quick as (
    select set_config('synchronous_commit', 'off', true)
), mine as (
    select id from worker_session
     where id = $1 and sub = $2 and expires_at > clock_timestamp()
       for key share
), living as materialized (
    -- Once for all flows that are with others: the view of the connections is not cheap.
    select s.id, s.served_by is null
                 or (s.served_by <> ''
                     and exists (select from pg_stat_activity a
                                  where a.application_name = s.served_by)) as served
      from worker_session s where s.expires_at > clock_timestamp()
), picked as (
    select f.id, f.session as had, f.seen, f.runnable_at
      from flow f
      join unnest($3::text[], $4::int[]) as k (kind, version) on k.kind = f.kind
     cross join mine cross join quick
     where f.runnable_at is not null and not f.parked and f.kind_version <= k.version
       and (f.session is null or f.session = $1
            or (f.status <> 'RUNNING' and f.runnable_at < clock_timestamp() - interval '1 second')
            or not exists (select from living s
                            where s.id = f.session and (f.status = 'RUNNING' or s.served)))
     order by f.runnable_at limit $5 for update of f skip locked
), given as (
    update flow f
       set session = $1, runnable_at = null,
           fence = f.fence + case when p.had is distinct from $1 then 1 else 0 end
      from picked p where f.id = p.id
    returning f.id, f.state, f.status, f.fence, f.input, f.cursor, p.seen,
              p.had is not distinct from $1 as resident,
              clock_timestamp() - p.runnable_at as waited
)
select g.id, g.state, g.status, g.fence, g.input, g.cursor, g.resident, g.waited, s.wake,
       case when g.resident then (
           select json_agg(json_build_object(
                      'id', w.id, 'key', w.key, 'kind', w.kind, 'name', w.name,
                      'digest', w.digest, 'dueAt', w.due_at, 'openedAt', w.opened_at,
                      'outcome', w.outcome, 'settledAt', w.settled_at, 'wake', w.wake,
                      'detail', w.data, 'payload', r.payload) order by w.opened_at, w.id)
             from flow_wait w
             left join response r on w.outcome = 'answered' and r.request_id = w.id
            where w.flow_id = g.id and w.outcome is not null and w.wake > g.seen) end as outcomes
  from given g join flow s on s.id = g.id
