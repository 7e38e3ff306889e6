select n, key, digest, result, at from flow_step where flow_id = $1 and n > $2::bigint order by n limit $3
