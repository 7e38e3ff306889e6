select group_id from member where entity_id = $1
