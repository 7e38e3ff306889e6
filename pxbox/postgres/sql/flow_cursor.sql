select cursor from flow where id = $1
