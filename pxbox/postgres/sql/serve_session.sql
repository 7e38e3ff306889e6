-- The worker has come to this broker.
update worker_session set served_by = $3 where id = $1 and sub = $2 and served_by is distinct from $3
