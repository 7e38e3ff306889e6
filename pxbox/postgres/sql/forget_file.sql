-- Forget a file as it was seen; no row: it was uploaded meanwhile.
delete from file where id = $1 and blob is not distinct from $2 returning id
