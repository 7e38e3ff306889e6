select system_identifier,
       (select oid from pg_database where datname = current_database()) as database_oid
  from pg_control_system()
