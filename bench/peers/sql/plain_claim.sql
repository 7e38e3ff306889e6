-- $1 request, $2 its new version, $3 commit, $4 status, $5 state, $6 alarm, $7 due,
-- $8 event, $9 its data, $10 its channels.
with changed as (
    update request set version = $2, commit_id = $3, status = $4, state = $5
     where id = $1 and version = $2 - 1
    returning id
), alarmed as (
    insert into alarm as a (id, due_at, visible_at, subject)
    select $6, $7, $7, id from changed
    on conflict (id) do update
       set generation = a.generation + 1, due_at = excluded.due_at,
           visible_at = excluded.visible_at
), bumped as (
    insert into channel as c (name, head)
    select name, 1 from changed, unnest($10::text[]) as name order by name
    on conflict (name) do update set head = c.head + 1
    returning c.name, c.head
), logged as (
    insert into event (channel, seq, id, data) select name, head, $8, $9 from bumped
)
select name, head from bumped
