-- A flow: its state as its actor holds it, and beside it what lists and leases look for. No foreign
-- keys: px_commit writes these rows together, under the flow's lock.
create table flow (
    id text primary key,
    version bigint not null,
    commit_id uuid not null,
    status text not null,
    parked boolean not null,
    kind text not null,
    -- Null: an external flow, which no worker runs.
    kind_version int,
    owner text,
    requestor text not null,
    created_at timestamptz not null,
    state json not null,
    input json not null,
    cursor json not null,
    result json,
    -- Counts outcomes, signals and cancels; `seen` is the count up to which the flow has been
    -- given them when it last came to wait (F2).
    wake bigint not null default 0,
    seen bigint not null default 0,
    -- Since when it waits for a worker to run it; null while it need not be run.
    runnable_at timestamptz,
    -- The worker that has it, and how often it was given to one (F4).
    session text,
    fence bigint not null default 0
) with (fillfactor = 70);
create index flow_runnable on flow (kind, runnable_at) where runnable_at is not null and not parked;
create index flow_session on flow (session) where session is not null;
create index flow_owner on flow (owner, created_at);
create index flow_requestor on flow (requestor, created_at);

-- The result of each checkpointed step, a row of its own: a long flow costs linear time (F1).
create table flow_step (
    flow_id text not null,
    n int not null,
    key text not null,
    digest text not null,
    result json not null,
    at timestamptz not null,
    primary key (flow_id, key)
);

-- What a flow waits or has waited for. An ask's id is its request's, a child's the child's.
create table flow_wait (
    id text primary key,
    flow_id text not null,
    key text not null,
    kind text not null,
    name text,
    digest text,
    due_at timestamptz,
    opened_at timestamptz not null default clock_timestamp(),
    outcome text,
    data json,
    settled_at timestamptz,
    wake bigint not null default 0
);
create index flow_wait_flow on flow_wait (flow_id, wake);

-- A worker, for as long as it renews (F4).
create table worker_session (
    id text primary key,
    sub text not null,
    kinds json not null,
    expires_at timestamptz not null
);
create index worker_session_expiry on worker_session (expires_at);

-- Messages between actors, until they are received (S5).
create table message (
    id uuid primary key,
    recipient text not null,
    body json not null,
    attempts int not null default 0,
    at timestamptz not null default clock_timestamp(),
    visible_at timestamptz not null default clock_timestamp()
);
create index message_visible on message (visible_at) where attempts < 10;
