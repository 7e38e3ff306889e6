-- One version of a named schema; the latest where none is given.
select v.version, v.hash, v.created_at, v.created_by, s.body
  from schema_version v join schema s on s.hash = v.hash
 where v.name = $1 and ($2::integer is null or v.version = $2)
 order by v.version desc
 limit 1
