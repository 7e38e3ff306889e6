-- Erase what entity $1, whose handle was $2, has left: the contents of its answers and its reasons,
-- its drafts, marks and positions, the clients and tokens in its trail, replies kept for repeats, and
-- all its names but $3. What is there to be counted stays: answers as null, entries of the trail.
with answered as (
    select x.id, x.request_id from response x join trail t on t.subject = x.request_id
     where t.on_behalf_of = $1 and t.type = 'request.answered' and x.answered_by = $1
), answers as (
    update response x set payload = 'null', client = 'erased' from answered a
     where x.id = a.id and x.payload::text <> 'null'
    returning 1
), requests as (
    -- Closed: no command is decided on these any more.
    update request r set state = (r.state::jsonb - 'answerHash' - 'reason')::json
     where r.id in (select subject from trail where on_behalf_of = $1
                       and type in ('request.answered', 'request.declined'))
       and r.state ->> 'closedBy' = $1
), drafts as (
    delete from draft where entity_id = $1 returning 1
), marks as (
    delete from mark where entity_id = $1 returning 1
), entries as (
    update trail set client = 'erased', token_id = null,
           detail = (detail::jsonb - 'reason')::json
     where on_behalf_of = $1
    returning 1
), positions as (
    delete from acknowledged where sub = $2
), replies as (
    delete from unique_key where space = 'idempotency'
       and (position('"answeredBy":"' || $1 || '"' in holds ->> 'reply') > 0
            or position('"handle":"' || $2 || '"' in holds ->> 'reply') > 0)
), names as (
    delete from unique_key where space = 'address' and holds ->> 'entityId' = $1 and key <> $3
)
select (select count(*) from answers) as answers, (select count(*) from drafts) as drafts,
       (select count(*) from marks) as marks, (select count(*) from entries) as trail
