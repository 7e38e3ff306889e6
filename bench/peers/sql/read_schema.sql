select body from schema where hash = $1
