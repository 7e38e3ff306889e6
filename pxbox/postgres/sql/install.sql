-- Make the installation's one row, or replace its epoch where this is another database than the
-- row says, as after a restore (E4). Two processes that start at once agree on one epoch.
insert into installation as i (epoch, system_identifier, database_oid, secret_fingerprint)
values ($1, $2, $3, $4)
on conflict (one) do update
   set (epoch, epoch_since, epoch_reason) = (
           select case when same then i.epoch else excluded.epoch end,
                  case when same then i.epoch_since else clock_timestamp() end,
                  case when same then i.epoch_reason else 'another database' end
             from (select i.system_identifier = excluded.system_identifier
                      and i.database_oid = excluded.database_oid) as identity (same)),
       system_identifier = excluded.system_identifier,
       database_oid = excluded.database_oid,
       secret_fingerprint = coalesce(i.secret_fingerprint, excluded.secret_fingerprint)
returning epoch, secret_fingerprint
