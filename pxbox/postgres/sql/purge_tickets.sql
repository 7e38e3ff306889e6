-- Delete up to $1 tickets that have expired; returns how many those were.
with gone as (
    delete from ws_ticket where hash in (
        select hash from ws_ticket where expires_at <= statement_timestamp()
         order by expires_at limit $1 for update skip locked)
    returning 1
)
select count(*) as gone from gone
