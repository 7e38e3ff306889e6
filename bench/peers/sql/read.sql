select version, status, addressee::text, claimed_by::text, schema_hash from request where id = $1
