-- $1 request, $2 its new version, $3 commit, $4 status, $5 state, $6 alarm,
-- $7 response, $8 its payload, $9 by whom, $10 with which client, $11 when,
-- $12 event, $13 its data, $14 its channels.
with changed as (
    update request set version = $2, commit_id = $3, status = $4, state = $5
     where id = $1 and version = $2 - 1
    returning id
), answered as (
    insert into response (id, request_id, payload, answered_by, client, answered_at)
    select $7, id, $8, $9, $10, $11 from changed
), cleared as (
    delete from alarm where id = $6 and exists (select from changed)
), bumped as (
    insert into channel as c (name, head)
    select name, 1 from changed, unnest($14::text[]) as name order by name
    on conflict (name) do update set head = c.head + 1
    returning c.name, c.head
), logged as (
    insert into event (channel, seq, id, data) select name, head, $12, $13 from bumped
)
select name, head from bumped
