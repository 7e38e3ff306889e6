select coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 as seconds
  from unrelayed
