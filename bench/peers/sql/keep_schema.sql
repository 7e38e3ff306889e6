insert into schema (hash, body) values ($1, $2) on conflict do nothing
