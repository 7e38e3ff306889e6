-- A page of the inquiries of any of $1 in any of the statuses $2, with the heads of the channels
-- $18, all of one snapshot (E6). The earliest deadline first;
-- $16, $17: the last row of the page before, by what is sorted on and id. $3: how many rows.
-- Each (entity, status) gives its own first rows in the order of an index; the marks are looked up
-- row by row (`offset 0`), for few are wanted. What is addressed twice is shown once.
-- $4: whose marks count (null: nobody's). $5 hides what this entity declined. $6 requestor, $7 flow,
-- $8 tag, $9 text, $10 and $11 due before and after, $12 needs attention now or is due by then: null
-- admits all. $13 shows what was deleted too. $14: only unread, only read. $15 shows what is snoozed
-- too.
with found as (
    select c.request_id, c.rank
      from unnest($1::text[]) as e (id)
     cross join unnest($2::text[]) as s (status)
     cross join lateral (
     select i.request_id, i.deadline_at as rank
       from inquiry i
       left join lateral (select * from mark m
                           where m.request_id = i.request_id and m.entity_id = $4 offset 0) m on true
      where i.entity_id = e.id and i.status = s.status
        and ($16::text is null or (i.deadline_at, i.request_id) > ($16::text::timestamptz, $17))
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
      order by i.deadline_at, i.request_id
      limit $3
     ) c
), page as (
    select distinct f.rank, f.request_id from found f
     order by f.rank, f.request_id limit $3
)
select (select coalesce(json_object_agg(c.name, c.head), '{}') from channel c
         where c.name = any($18::text[])) as positions,
       (select coalesce(json_agg(json_build_object(
                   'state', r.state, 'rank', p.rank::text, 'read', coalesce(m.read, false),
                   'snoozed_until', m.snoozed_until, 'deleted', coalesce(m.deleted, false),
                   'mark_version', coalesce(m.version, 0), 'why', left(r.why, 200))
                   order by p.rank, p.request_id), '[]')
          from page p
          join request r on r.id = p.request_id
          left join lateral (select * from mark m where m.request_id = p.request_id
                                and m.entity_id = $4 offset 0) m on true) as rows
