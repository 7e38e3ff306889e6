select group_id, entity_id from member where group_id = any($1::text[]) order by entity_id
