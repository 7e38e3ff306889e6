select batch, channels from unrelayed
 where at < statement_timestamp() - interval '1 second' order by batch limit $1
