-- The entities that have these handles or aliases.
select u.key, e.state
  from unique_key u join entity e on e.id = u.holds ->> 'entityId'
 where u.space = 'address' and u.key = any($1::text[])
