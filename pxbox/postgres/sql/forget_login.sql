delete from login where hash = $1
