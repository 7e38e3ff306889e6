-- Sign for a file, unless its entity has signed for $8 of this request before; no row: it has.
insert into file (id, request_id, entity_id, name, mime, size, until)
select $1, $2, $3, $4, $5, $6, $7
 where (select count(*) from file where request_id = $2 and entity_id = $3) < $8
returning id
