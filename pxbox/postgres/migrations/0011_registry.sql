-- Schemas by name. Versions count 1, 2, 3, ... and are never changed or removed: what was once
-- referred to by its number stays what it was.
create table schema_version (
    name text not null,
    version integer not null check (version > 0),
    hash text not null references schema (hash),
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    primary key (name, version)
);
