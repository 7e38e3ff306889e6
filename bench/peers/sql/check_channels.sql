-- How many channels have a head that is not the number of their events, or numbers that are not
-- 1..n; and how many events there are in all.
select (select count(*)
          from (select coalesce(c.name, e.channel)
                  from channel c full join event e on e.channel = c.name
                 group by coalesce(c.name, e.channel), c.head
                having count(e.seq) is distinct from c.head
                    or min(e.seq) is distinct from 1
                    or max(e.seq) is distinct from c.head) as mismatched) as wrong,
       (select count(*) from event) as events
