select seq, data from event where channel = $1 order by seq desc limit $2
