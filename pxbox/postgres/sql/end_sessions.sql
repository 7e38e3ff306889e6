select id, kind, runnable from px_end_sessions($1, $2)
