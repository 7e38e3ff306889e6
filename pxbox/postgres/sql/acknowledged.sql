select epoch, seq from acknowledged where sub = $1 and session = $2 and channel = $3
