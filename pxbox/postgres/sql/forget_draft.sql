delete from draft where request_id = $1 and entity_id = $2
