insert into schema (hash, draft, body) values ($1, $2, $3::text::json) on conflict do nothing
