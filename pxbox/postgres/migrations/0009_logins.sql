-- Logins of browsers, by the hash of what their cookies hold: this table opens nothing to who reads
-- it. A row is deleted when its owner signs out, or a while after it has expired.
create table login (
    hash bytea primary key,
    principal json not null,
    expires_at timestamptz not null,
    -- No renewal goes beyond it.
    ends_at timestamptz not null
);
create index login_expiry on login (expires_at);

-- Links for signing in that were used, by hash, for as long as they would have counted.
create table used_link (
    hash bytea primary key,
    -- The login that came of it: the same statement, sent once more, finds its own.
    login bytea not null,
    expires_at timestamptz not null
);
create index used_link_expiry on used_link (expires_at);
