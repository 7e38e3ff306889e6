-- How many inquiries a list has on all pages together; see `inbox_by_deadline.sql` for $1, $2 and
-- $4 to $15. At most $3 rows are looked at: `more` says that there were as many.
select count(distinct c.request_id) as total, count(*) >= $3 as more
  from (
    select c.request_id
      from unnest($1::text[]) as e (id)
     cross join unnest($2::text[]) as s (status)
     cross join lateral (
     select i.request_id
       from inquiry i
       left join lateral (select * from mark m
                           where m.request_id = i.request_id and m.entity_id = $4 offset 0) m on true
      where i.entity_id = e.id and i.status = s.status
        and ($5::text is null or $5 <> all (i.declined))
        and ($6::text is null or i.requestor = $6)
        and ($7::text is null or i.flow_id = $7)
        and ($8::text is null or i.tags <> '{}' and i.tags @> array[$8])
        and ($9::text is null
             or (select position(lower($9) in r.search) > 0 from request r
                  where r.id = i.request_id))
        and ($10::timestamptz is null or i.deadline_at < $10)
        and ($11::timestamptz is null or i.deadline_at > $11)
        and ($12::timestamptz is null or i.attention_at <= statement_timestamp()
             or i.deadline_at <= $12)
        and ($13::boolean or not coalesce(m.deleted, false))
        and ($14::boolean is null or coalesce(m.read, false) <> $14)
        and ($15::boolean or i.status not in ('PENDING', 'CLAIMED')
             or coalesce(m.snoozed_until <= statement_timestamp(), true))
      limit $3
     ) c
     limit $3
  ) c
