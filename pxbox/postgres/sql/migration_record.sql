insert into migration (name) values ($1)
