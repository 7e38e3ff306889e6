-- Which broker serves the worker's connection, by the application_name of the connection that it writes
-- by: while the database has that one, the broker lives. Null: the worker has no lasting connection; '':
-- it had one, and has left.
alter table worker_session add column served_by text;

-- Sessions that ended ($1) or that have expired: what they were running is to be run by others. What
-- waits is left as it is, however much that is: whoever it is woken for may have it.
--
-- In two statements: a lease that is under way holds the session's row, and what it has given is seen by
-- a statement that begins once the session has gone.
create function px_end_sessions(session text, at timestamptz)
returns table (id text, kind text, runnable boolean) language plpgsql as $$
declare
    gone text[];
begin
    with ended as (
        delete from worker_session s where s.id = session or s.expires_at <= coalesce(at, clock_timestamp())
        returning s.id
    )
    select array_agg(e.id) into gone from ended e;
    return query
        update flow f
           set session = null, runnable_at = coalesce(f.runnable_at, at, clock_timestamp())
         where f.session = any(gone) and not f.parked
           and (f.status = 'RUNNING' or (f.state ->> 'compensations')::int > 0
                or (f.status in ('WAITING_INPUT', 'SUSPENDED') and f.wake > f.seen))
        returning f.id, f.kind, true;
end $$;
