-- How many of the newest $1 requests are open, older than $2, and have got to nobody.
select count(*) as n
  from (select id, status, created_at from request order by id desc limit $1) r
 where r.status in ('PENDING', 'CLAIMED') and r.created_at < statement_timestamp() - $2::interval
   and not exists (select from reach h where h.request_id = r.id)
