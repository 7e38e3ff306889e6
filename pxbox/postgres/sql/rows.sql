-- The version and state of rows, many at once; what is absent has no row.
select 'request' as table, id, version, state from request where id = any($1::text[])
union all
select 'entity', id, version, state from entity where id = any($2::text[])
union all
select 'flow', id, version, state from flow where id = any($3::text[])
