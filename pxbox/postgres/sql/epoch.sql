-- The epoch, and whether this still is the database that it began in (E4).
select i.epoch, i.epoch_reason,
       i.system_identifier = c.system_identifier
           and i.database_oid = (select oid from pg_database where datname = current_database())
           as same_database
  from installation i, pg_control_system() c
