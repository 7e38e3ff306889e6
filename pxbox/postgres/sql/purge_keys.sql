-- Idempotency keys count for a day (S7).
delete from unique_key
 where space = 'idempotency' and reserved_at < clock_timestamp() - interval '24 hours'
