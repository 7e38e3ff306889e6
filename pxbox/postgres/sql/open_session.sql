-- A worker comes: a session for $4 from now.
insert into worker_session (id, sub, kinds, expires_at)
values ($1, $2, $3::json, coalesce($5, clock_timestamp()) + $4::interval)
returning expires_at
