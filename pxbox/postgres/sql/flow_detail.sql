-- A flow with what its state does not hold.
select state, input, cursor, result, wake, seen from flow where id = $1
