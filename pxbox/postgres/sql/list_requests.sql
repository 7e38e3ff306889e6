-- A page of the requests addressed to any of $1, with the heads of the channels $2, all of one
-- snapshot (E6). $3 status, $4 requestor, $5 text in the title: null admits all. $6 hides what
-- this entity declined. $7 sort: 'deadline' or 'created' (newest first); $8, $9: the last row of
-- the page before, by what is sorted on and id. $10: how many rows.
with found as (
    select distinct on (r.id) r.id, r.state,
           case $7::text when 'deadline' then coalesce(r.deadline_at, 'infinity')
                         else r.created_at end as rank
      from addressee a join request r on r.id = a.request_id
     where a.entity_id = any($1::text[])
       and ($3::text is null or r.status = $3)
       and ($4::text is null or r.requestor = $4)
       and ($5::text is null
            or position(lower($5) in lower(coalesce(r.state ->> 'title', ''))) > 0)
       and ($6::text is null or not coalesce((r.state -> 'declined')::jsonb ? $6, false))
), page as (
    select f.state, f.rank, f.id from found f
     where $9::text is null
        or ($7 = 'deadline' and (f.rank, f.id) > ($8::text::timestamptz, $9))
        or ($7 = 'created' and (f.rank, f.id) < ($8::text::timestamptz, $9))
     order by case when $7 = 'deadline' then f.rank end,
              case when $7 = 'deadline' then f.id end,
              case when $7 = 'created' then f.rank end desc,
              f.id desc
     limit $10
)
select (select count(*) from found) as total,
       (select coalesce(json_object_agg(c.name, c.head), '{}') from channel c
         where c.name = any($2::text[])) as positions,
       (select coalesce(json_agg(json_build_object('state', p.state, 'rank', p.rank::text)), '[]')
          from page p) as rows
