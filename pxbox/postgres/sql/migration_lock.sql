-- One process at a time brings a database up to date.
select pg_advisory_lock($1)
