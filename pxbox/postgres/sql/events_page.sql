-- A channel's bounds and a page of its events after $2, of one snapshot.
select coalesce((select floor from channel where name = $1), 0) as floor,
       coalesce((select head from channel where name = $1), 0) as head,
       (select coalesce(json_agg(json_build_object('seq', e.seq, 'data', e.data) order by e.seq),
                        '[]')
          from (select seq, data from event where channel = $1 and seq > $2
                 order by seq limit $3) e) as items
