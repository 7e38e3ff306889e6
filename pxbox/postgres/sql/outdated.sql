-- Of up to $4 requests after id $3 those that are no longer kept: answered longer ago than $1, or
-- closed without an answer longer ago than $2 (null: kept for ever), whose flow, if any, is at its end.
-- `upto` is the last one looked at, null at the end. An id is about as old as its request.
with looked as materialized (
    select r.id, r.status, r.state from request r
     where r.id > $3 and r.created_at < clock_timestamp() - least($1::interval, $2::interval)
     order by r.id limit $4
), found as (
    select l.id, l.status = 'ANSWERED' as answered from looked l
     where l.status not in ('PENDING', 'CLAIMED')
       and (l.state ->> 'closedAt')::timestamptz
           < clock_timestamp() - case l.status when 'ANSWERED' then $1::interval
                                               else $2::interval end
       and not exists (select from flow f where f.id = l.state -> 'flow' ->> 'id'
                          and f.status in ('RUNNING', 'WAITING_INPUT', 'SUSPENDED'))
)
select (select coalesce(array_agg(f.id) filter (where f.answered), '{}') from found f) as answered,
       (select coalesce(array_agg(f.id) filter (where not f.answered), '{}')
          from found f) as unanswered,
       (select case count(*) when $4 then max(l.id) end from looked l) as upto
