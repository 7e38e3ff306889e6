-- How far each client has dealt with each channel under a session name of its own (E8). `seq` only
-- grows within an epoch.
create table acknowledged (
    sub text not null,
    session text not null,
    channel text not null,
    epoch text not null,
    seq bigint not null,
    at timestamptz not null default clock_timestamp(),
    primary key (sub, session, channel)
) with (fillfactor = 70);

-- Retention looks for what is old. Rows come in the order of their times, so that a summary of
-- ranges finds them, at next to no cost for those who write.
create index event_at on event using brin (at) with (autosummarize = on);
create index acknowledged_at on acknowledged using brin (at) with (autosummarize = on);
