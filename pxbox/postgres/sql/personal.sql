-- How much there is of entity $1 to be erased.
select (select count(*) from response x join trail t on t.subject = x.request_id
         where t.on_behalf_of = $1 and t.type = 'request.answered' and x.answered_by = $1
           and x.payload::text <> 'null') as answers,
       (select count(*) from draft where entity_id = $1) as drafts,
       (select count(*) from mark where entity_id = $1) as marks,
       (select count(*) from trail where on_behalf_of = $1) as trail
