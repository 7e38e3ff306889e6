select kinds from worker_session where id = $1 and sub = $2 and expires_at > clock_timestamp()
