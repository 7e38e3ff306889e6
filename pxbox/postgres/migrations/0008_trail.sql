-- Who did what, when, by which token, and on whose behalf: a row for each transition, written in
-- its commit and never changed, so that it outlives the events that retention removes. `subject` is
-- a request's or an entity's id, `version` its own after it.
create table trail (
    subject text not null,
    version bigint not null,
    type text not null,
    status text,
    at timestamptz not null,
    actor text,
    client text,
    token_id text,
    on_behalf_of text,
    detail json
);
create index trail_subject on trail (subject, version);
-- What an entity did. Programs that act as none, and time, are not in it.
create index trail_behalf on trail (on_behalf_of, at) where on_behalf_of is not null;

-- How far a request has got to those who are asked, since when; no row: to nobody yet. Kept by each
-- broker some seconds late, and not by the commits.
create table reach (
    request_id text primary key,
    notified_at timestamptz,
    seen_at timestamptz,
    opened_at timestamptz
);

-- What is made of a request goes with it.
create index mark_request on mark (request_id);
