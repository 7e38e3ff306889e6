-- A page of what client $1 has asked, the newest first, with the head of channel $2, of one snapshot
-- (E6). $3: in these statuses; $4: with this tag; $5: got no further than this (0 nobody, 1 notified,
-- 2 seen, 3 opened): null admits all. $6, $7: the last row of the page before; $8: how many rows.
with page as (
    select r.id, r.state, r.created_at, h.notified_at, h.seen_at, h.opened_at
      from request r left join reach h on h.request_id = r.id
     where r.requestor = $1
       and r.status = any ($3::text[])
       and ($4::text is null or $4 in (select json_array_elements_text(r.state -> 'tags')))
       and ($5::int is null or $5 = case when h.opened_at is not null then 3
                                         when h.seen_at is not null then 2
                                         when h.notified_at is not null then 1 else 0 end)
       and ($6::timestamptz is null or (r.created_at, r.id) < ($6, $7))
     order by r.created_at desc, r.id desc
     limit $8
)
select coalesce((select head from channel where name = $2), 0) as head,
       (select coalesce(json_agg(json_build_object(
                   'state', p.state, 'createdAt', p.created_at, 'notifiedAt', p.notified_at,
                   'seenAt', p.seen_at, 'openedAt', p.opened_at)
                   order by p.created_at desc, p.id desc), '[]') from page p) as rows
