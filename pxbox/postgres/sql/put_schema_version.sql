-- Make a version, after the one before was read; no row: another has made it first.
insert into schema_version (name, version, hash, created_by) values ($1, $2, $3, $4)
on conflict do nothing
returning created_at
