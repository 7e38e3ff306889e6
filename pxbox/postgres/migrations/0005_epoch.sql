-- Since when the epoch is this one, and what began it (E4).
alter table installation
    add column epoch_since timestamptz not null default clock_timestamp(),
    add column epoch_reason text not null default 'installed';
