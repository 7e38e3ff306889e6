-- Use up the link $1, which counts until $2, and keep the login $3 for it. No row: it was used for
-- another login, or its time is over.
with used as (
    insert into used_link (hash, login, expires_at)
    select $1, $3, $2::timestamptz where $2::timestamptz > clock_timestamp()
    on conflict (hash) do update set login = excluded.login where used_link.login = excluded.login
    returning 1
)
insert into login (hash, principal, expires_at, ends_at)
select $3, $4::json, clock_timestamp() + $5::interval, clock_timestamp() + $6::interval from used
on conflict (hash) do update set hash = excluded.hash
returning expires_at, ends_at
