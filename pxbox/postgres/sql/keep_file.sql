-- All of a file is kept under this key; no row: something was before, or it was collected.
update file set blob = $2, sha256 = $3 where id = $1 and blob is null returning id
