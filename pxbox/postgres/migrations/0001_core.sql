-- The one row that says which database this is (E4) and which secret belongs to it.
create table installation (
    one boolean primary key default true check (one),
    epoch text not null,
    system_identifier bigint not null,
    database_oid oid not null,
    secret_fingerprint text
);

create table entity (
    id text primary key,
    version bigint not null,
    commit_id uuid not null,
    state json not null
);

create table member (
    group_id text not null references entity (id),
    entity_id text not null references entity (id),
    primary key (group_id, entity_id)
);
create index member_entity on member (entity_id);

-- A schema is kept once per content hash; requests point at it, so it never changes (X3).
create table schema (
    hash text primary key,
    draft text not null,
    body json not null
);

-- `state` is what the actor holds; the columns beside it are what lists filter and sort by.
-- No foreign keys here and in what hangs on a request: px_commit writes these rows together, under
-- the request's lock, and a key share lock on a popular schema would be contended by every create.
create table request (
    id text primary key,
    version bigint not null,
    commit_id uuid not null,
    status text not null,
    requestor text not null,
    deadline_at timestamptz,
    created_at timestamptz not null,
    state json not null,
    schema_hash text not null,
    ui_hints json not null,
    prefill json not null,
    meta json not null
) with (fillfactor = 70);
create index request_requestor on request (requestor, created_at);

create table addressee (
    entity_id text not null,
    request_id text not null,
    primary key (entity_id, request_id)
);

create table response (
    id text primary key,
    request_id text not null unique,
    payload json not null,
    answered_by text not null,
    client text not null,
    answered_at timestamptz not null
);

-- Names that only one may have: addresses of entities, and idempotency keys with their outcome
-- (S7). `holds` is what the loser of a race is told.
create table unique_key (
    space text not null,
    key text not null,
    commit_id uuid not null,
    holds json not null,
    reserved_at timestamptz not null default clock_timestamp(),
    primary key (space, key)
);
create index unique_key_idempotency on unique_key (reserved_at) where space = 'idempotency';

-- An alarm that is set again, or anew after it was cleared, has a generation of its own, so that a
-- firing which comes late never meets it (S10).
create sequence alarm_generation;
create table alarm (
    id text primary key,
    generation bigint not null default nextval('alarm_generation'),
    due_at timestamptz not null,
    -- Not taken by a process before this: a taken alarm is invisible for a while (S10).
    visible_at timestamptz not null,
    subject text not null
);
create index alarm_visible on alarm (visible_at);

-- The counter of each channel's events (E1); `floor` is the newest number that retention removed.
create table channel (
    name text primary key,
    head bigint not null,
    floor bigint not null default 0
) with (fillfactor = 50);

create table event (
    channel text not null,
    seq bigint not null,
    id text not null,
    data json not null,
    at timestamptz not null default clock_timestamp(),
    primary key (channel, seq)
);

-- What may not have reached the hot windows yet: one row per batch of commits (E3).
create table unrelayed (
    batch bigint generated always as identity primary key,
    channels text[] not null,
    at timestamptz not null default clock_timestamp()
);
