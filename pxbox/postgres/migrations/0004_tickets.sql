-- Tickets for browsers' WebSockets, by the hash of what was given out: this table opens nothing to
-- who reads it. A row is deleted when its ticket is taken, or after it has expired.
create table ws_ticket (
    hash bytea primary key,
    principal json not null,
    expires_at timestamptz not null
);
create index ws_ticket_expiry on ws_ticket (expires_at);
