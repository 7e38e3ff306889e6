-- What was done to an entity, and on its behalf, the newest first; $2, $3, $4: the last row of the
-- page before, by time, subject and version; $5: how many.
with found as (
    (select * from trail
      where on_behalf_of = $1
        and ($2::timestamptz is null or (at, subject, version) < ($2, $3, $4::bigint))
      order by at desc, subject desc, version desc limit $5)
    union all
    (select * from trail
      where subject = $1 and on_behalf_of is distinct from $1
        and ($2::timestamptz is null or (at, subject, version) < ($2, $3, $4::bigint))
      order by at desc, subject desc, version desc limit $5)
)
select subject, version, type, status, at, actor, client, token_id, on_behalf_of,
       coalesce(detail, '{}') as detail
  from found order by at desc, subject desc, version desc limit $5
