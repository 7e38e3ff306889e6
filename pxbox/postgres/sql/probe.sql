select current_setting('server_version') as version,
       current_setting('server_version_num')::int as version_number,
       current_setting('server_encoding') as encoding,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('fsync') = 'on' as fsync,
       current_setting('full_page_writes') = 'on' as full_page_writes,
       pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as read_only,
       coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create,
       clock_timestamp() as now
