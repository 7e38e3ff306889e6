-- Files that were signed for, each for the answer to one request by one entity. Which of them an
-- answer refers to says the request's own state, which its commit writes with the answer; `referred`
-- is only a note of that, so that what is settled is not looked at again.
create table file (
    id text primary key,
    request_id text not null,
    entity_id text not null,
    name text not null,
    mime text not null,
    size bigint not null check (size >= 0),
    until timestamptz not null,
    signed_at timestamptz not null default clock_timestamp(),
    -- The key in the storage, once all of it is kept there.
    blob text unique,
    sha256 text,
    referred boolean not null default false,
    check ((blob is null) = (sha256 is null)),
    check (blob is not null or not referred)
);
create index file_of_request on file (request_id, entity_id);
create index file_unsettled on file (id) where not referred;
