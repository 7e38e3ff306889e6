-- $1 request, $2 commit, $3 status, $4 state, $5 requestor, $6 created, $7 schema, $8 addressees,
-- $9 event, $10 its data, $11 its channels.
with changed as (
    insert into request (id, version, commit_id, status, state, requestor, created_at,
                         schema_hash, ui_hints, prefill, meta)
    values ($1, 1, $2, $3, $4, $5, $6, $7, 'null', 'null', 'null')
    on conflict do nothing
    returning id
), addressed as (
    insert into inquiry (request_id, entity_id, status, created_at, deadline_at, attention_at,
                         requestor)
    select id, entity, $3, $6, 'infinity', 'infinity', $5
      from changed, unnest($8::text[]) as entity
), bumped as (
    insert into channel as c (name, head)
    select name, 1 from changed, unnest($11::text[]) as name order by name
    on conflict (name) do update set head = c.head + 1
    returning c.name, c.head
), logged as (
    insert into event (channel, seq, id, data) select name, head, $9, $10 from bumped
)
select name, head from bumped
