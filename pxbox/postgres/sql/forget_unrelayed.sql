delete from unrelayed where batch = any($1::bigint[])
