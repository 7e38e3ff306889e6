-- Have a login last for $2 from now, as far as its end allows. No row: there is none that counts.
update login
   set expires_at = greatest(expires_at, least(ends_at, clock_timestamp() + $2::interval))
 where hash = $1 and expires_at > clock_timestamp()
returning principal, expires_at, ends_at, true as counts
