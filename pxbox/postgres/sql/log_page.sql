select seq, data from event where channel = $1 and seq > $2 order by seq limit $3
