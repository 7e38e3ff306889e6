-- Replace the epoch $1 by $2 where a channel of $5 has not come as far as $6 says that it had (E4).
-- No row: it had, or the epoch is another one by now, or is not yet older than $4. One statement:
-- on a replica that lags it fails, for nothing can be written there.
update installation
   set epoch = $2, epoch_since = clock_timestamp(), epoch_reason = $3
 where epoch = $1 and epoch_since <= clock_timestamp() - $4::interval
   and exists (select from unnest($5::text[], $6::bigint[]) as seen (channel, seq)
                 left join channel c on c.name = seen.channel
                where coalesce(c.head, 0) < seen.seq)
returning epoch
