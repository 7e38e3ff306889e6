-- Take up to $1 due alarms, oldest first, each invisible to others for $2 while it is fired (S10).
-- By the statement's own time: clock_timestamp() may differ from row to row, is no condition of an
-- index, and would have every look go through all that wait.
with due as (
    select id from alarm where visible_at <= coalesce($3, statement_timestamp())
     order by visible_at limit $1 for update skip locked
)
update alarm a
   set visible_at = coalesce($3, clock_timestamp()) + $2::interval
  from due where a.id = due.id
returning a.id, a.generation, a.due_at, a.subject
