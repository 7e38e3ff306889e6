-- How long until the next alarm is due; null: none is set.
select extract(epoch from min(visible_at) - clock_timestamp())::float8 as seconds from alarm
