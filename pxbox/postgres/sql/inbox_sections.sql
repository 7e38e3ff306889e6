-- How many open inquiries of any of $1 are in each section of the inbox, and how many of those were
-- not read by $2 (null: nobody's marks count); what $3 declined is in none. $4: due by then needs
-- attention; $5: due by then is due soon. At most $6 rows of each section are looked at: `more` says
-- that there were as many. A section without any has no row.
select c.section, count(distinct c.request_id) as count,
       count(distinct c.request_id) filter (where not c.read) as unread, count(*) >= $6 as more
  from (
    (select 'attention' as section, i.request_id, coalesce(m.read, false) as read
      from unnest($1::text[]) as e (id)
     cross join (values ('PENDING'), ('CLAIMED')) as s (status)
     cross join lateral (
         select i.request_id, i.declined from inquiry i
          where i.entity_id = e.id and i.status = s.status and i.deadline_at <= $4::timestamptz
         union all
         select i.request_id, i.declined from inquiry i
          where i.entity_id = e.id and i.status = s.status and i.attention_at <= statement_timestamp()
     ) i
     left join lateral (select * from mark m
                         where m.request_id = i.request_id and m.entity_id = $2 offset 0) m on true
     where ($3::text is null or $3 <> all (i.declined))
       and not coalesce(m.deleted, false)
       and coalesce(m.snoozed_until <= statement_timestamp(), true)
     limit $6)
     union all
    (select 'dueSoon' as section, i.request_id, coalesce(m.read, false) as read
      from unnest($1::text[]) as e (id)
     cross join (values ('PENDING'), ('CLAIMED')) as s (status)
     cross join lateral (
         select i.request_id, i.declined from inquiry i
          where i.entity_id = e.id and i.status = s.status and i.deadline_at <= $5::timestamptz
     ) i
     left join lateral (select * from mark m
                         where m.request_id = i.request_id and m.entity_id = $2 offset 0) m on true
     where ($3::text is null or $3 <> all (i.declined))
       and not coalesce(m.deleted, false)
       and coalesce(m.snoozed_until <= statement_timestamp(), true)
     limit $6)
     union all
    (select 'pending' as section, i.request_id, coalesce(m.read, false) as read
      from unnest($1::text[]) as e (id)
     cross join (values ('PENDING'), ('CLAIMED')) as s (status)
     cross join lateral (
         select i.request_id, i.declined from inquiry i
          where i.entity_id = e.id and i.status = s.status
     ) i
     left join lateral (select * from mark m
                         where m.request_id = i.request_id and m.entity_id = $2 offset 0) m on true
     where ($3::text is null or $3 <> all (i.declined))
       and not coalesce(m.deleted, false)
       and coalesce(m.snoozed_until <= statement_timestamp(), true)
     limit $6)
  ) c
 group by c.section
