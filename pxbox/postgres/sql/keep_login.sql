-- Keep a login for $3, to be renewed for up to $4 from now, and in no case beyond $5; returns until
-- when. Sent once more after a lost connection, it is the same one.
insert into login (hash, principal, expires_at, ends_at)
select $1, $2::json, least(now + $3::interval, $5::timestamptz),
       least(now + $4::interval, $5::timestamptz)
  from clock_timestamp() as now
on conflict (hash) do update set hash = excluded.hash
returning expires_at, ends_at
