insert into entity (id, handle) values ($1, $2)
