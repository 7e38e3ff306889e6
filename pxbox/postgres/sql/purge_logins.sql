-- Delete up to $1 logins that expired a day ago, and as many links whose time is over; returns how
-- many those were. Until then an old login is told from one that never was.
with logins as (
    delete from login where hash in (
        select hash from login where expires_at <= statement_timestamp() - interval '1 day'
         order by expires_at limit $1 for update skip locked)
    returning 1
), links as (
    delete from used_link where hash in (
        select hash from used_link where expires_at <= statement_timestamp()
         order by expires_at limit $1 for update skip locked)
    returning 1
)
select (select count(*) from logins) + (select count(*) from links) as gone
