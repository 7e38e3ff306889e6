-- Delete these requests, which are closed, and all that hangs on them but their trail and the events
-- that are kept by age. Returns how many. One that a commit holds is left for the next time.
with gone as (
    delete from request where id in (
        select id from request where id = any($1::text[]) and status not in ('PENDING', 'CLAIMED')
         order by id for update skip locked)
    returning id
), responses as (
    delete from response x using gone g where x.request_id = g.id
), inquiries as (
    delete from inquiry x using gone g where x.request_id = g.id
), marks as (
    delete from mark x using gone g where x.request_id = g.id
), drafts as (
    delete from draft x using gone g where x.request_id = g.id
), reaches as (
    delete from reach x using gone g where x.request_id = g.id
)
select count(*) as gone from gone
