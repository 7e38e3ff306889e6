-- Keep a ticket for a time, by the database's clock; returns until when. Sent once more after a lost
-- connection, it is the same one.
insert into ws_ticket (hash, principal, expires_at)
values ($1, $2, clock_timestamp() + $3::interval)
on conflict (hash) do update set expires_at = ws_ticket.expires_at
returning expires_at
