-- Delete up to $2 acknowledgements that have not changed for $1; returns how many those were. What
-- they point at has gone by then, too.
with gone as (
    delete from acknowledged where (sub, session, channel) in (
        select sub, session, channel from acknowledged
         where at < statement_timestamp() - $1::interval limit $2 for update skip locked)
    returning 1
)
select count(*) as gone from gone
