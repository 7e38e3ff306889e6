-- Which migrations were applied here.
create table if not exists migration (
    name text primary key,
    applied_at timestamptz not null default clock_timestamp()
)
