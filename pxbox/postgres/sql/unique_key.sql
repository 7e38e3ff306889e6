-- What holds a key now; an idempotency key counts for a day (S7). No row: it is free.
select holds from unique_key
 where space = $1 and key = $2
   and (space <> 'idempotency' or reserved_at > clock_timestamp() - interval '24 hours')
