-- A page of requests after id $1 with their answers, in the order of their ids. $2: in these
-- statuses; $3: of this client; $4: with this tag; $5, $6: created from, created before: null admits
-- all. $7: how many.
select r.id, r.state, r.meta, x.payload, x.answered_by, x.answered_at
  from request r left join response x on x.request_id = r.id
 where r.id > $1 and r.status = any ($2::text[])
   and ($3::text is null or r.requestor = $3)
   and ($4::text is null or $4 in (select json_array_elements_text(r.state -> 'tags')))
   and ($5::timestamptz is null or r.created_at >= $5)
   and ($6::timestamptz is null or r.created_at < $6)
 order by r.id limit $7
