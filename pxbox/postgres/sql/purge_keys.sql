-- Delete up to $1 idempotency keys that no longer count, which is after a day (S7); returns how
-- many those were.
with gone as (
    delete from unique_key where (space, key) in (
        select space, key from unique_key
         where space = 'idempotency' and reserved_at < statement_timestamp() - interval '24 hours'
         order by reserved_at limit $1 for update skip locked)
    returning 1
)
select count(*) as gone from gone
