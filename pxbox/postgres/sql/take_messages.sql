-- Take up to $1 messages, oldest first, each invisible to others for $2; one that fails ten times
-- is parked (S5).
with due as (
    select id from message where visible_at <= statement_timestamp() and attempts < 10
     order by visible_at limit $1 for update skip locked
)
update message m set visible_at = clock_timestamp() + $2::interval, attempts = attempts + 1
  from due where m.id = due.id
returning m.id, m.recipient, m.body, m.attempts
