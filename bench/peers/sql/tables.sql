create table if not exists entity (
    id uuid primary key,
    handle text not null unique
);

create table if not exists schema (
    hash text primary key,
    body json not null
);

create table if not exists request (
    id text primary key,
    version bigint not null,
    status text not null,
    requestor text not null,
    addressee uuid not null references entity (id),
    schema_hash text not null references schema (hash),
    title text,
    claim_ttl interval not null,
    deadline_at timestamptz,
    claimed_by uuid,
    claim_expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
) with (fillfactor = 70);
create index if not exists request_addressee on request (addressee, created_at);

create table if not exists response (
    id text primary key,
    request_id text not null unique references request (id),
    payload json not null,
    answered_by uuid not null,
    answered_at timestamptz not null default now()
);

-- The counter of each channel's events: its row lock makes the numbers gapless.
create table if not exists channel (
    name text primary key,
    head bigint not null
) with (fillfactor = 50);

create table if not exists event (
    channel text not null,
    seq bigint not null,
    data json not null,
    at timestamptz not null default now(),
    primary key (channel, seq)
);
