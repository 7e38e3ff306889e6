-- The answer that stands if the deadline comes first; null: none.
select default_answer from request where id = $1
