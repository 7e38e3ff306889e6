-- What was done to a request after version $2, in order; $3: how many.
select subject, version, type, status, at, actor, client, token_id, on_behalf_of,
       coalesce(detail, '{}') as detail
  from trail where subject = $1 and version > $2 order by version limit $3
