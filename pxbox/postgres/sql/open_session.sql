-- A worker comes: a session for $4 from now, served by $6.
insert into worker_session (id, sub, kinds, expires_at, served_by)
values ($1, $2, $3::json, coalesce($5, clock_timestamp()) + $4::interval, $6)
returning expires_at
