-- No row: it has expired, and its flows may be with others.
update worker_session set expires_at = coalesce($4, clock_timestamp()) + $3::interval
 where id = $1 and sub = $2 and expires_at > coalesce($4, clock_timestamp())
returning expires_at
