-- Their workers have left this broker, and have come to no other yet.
update worker_session set served_by = '' where id = any($1::text[]) and served_by = $2
