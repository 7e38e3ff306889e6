-- Begin the epoch $1, whatever this database is (E4). No row: no broker has run on it yet.
update installation i
   set epoch = $1, epoch_since = clock_timestamp(), epoch_reason = 'restore-done',
       system_identifier = c.system_identifier,
       database_oid = (select oid from pg_database where datname = current_database())
  from pg_control_system() c
returning i.epoch
