select principal, expires_at, ends_at, expires_at > clock_timestamp() as counts
  from login where hash = $1
