-- The inbox. One row for each entity that a request is addressed to, with what its lists are
-- sorted by, so that a page is read in order from an index however much lies behind it. The status
-- stands first in each index: open inquiries are found beside any number of closed ones. The rows
-- are written in the commit that changes the request, under the request's lock.
create table inquiry (
    request_id text not null,
    entity_id text not null,
    status text not null,
    created_at timestamptz not null,
    -- 'infinity': there is none; so it is sorted last.
    deadline_at timestamptz not null,
    attention_at timestamptz not null,
    requestor text not null,
    flow_id text,
    tags text[] not null default '{}',
    -- The candidates who declined: they no longer see it.
    declined text[] not null default '{}',
    primary key (request_id, entity_id)
);
create index inquiry_deadline on inquiry (entity_id, status, deadline_at, request_id);
create index inquiry_attention on inquiry (entity_id, status, attention_at, request_id);
create index inquiry_created on inquiry (entity_id, status, created_at, request_id);

insert into inquiry (request_id, entity_id, status, created_at, deadline_at, attention_at,
                     requestor, declined)
select r.id, a.entity_id, r.status, r.created_at, coalesce(r.deadline_at, 'infinity'),
       coalesce((r.state ->> 'attentionAt')::timestamptz, 'infinity'), r.requestor,
       array(select json_array_elements_text(coalesce(r.state -> 'declined', '[]')))
  from addressee a join request r on r.id = a.request_id;
drop table addressee;

-- What one responder has made of an inquiry; no row: unread and in sight.
create table mark (
    request_id text not null,
    entity_id text not null,
    version bigint not null,
    commit_id uuid not null,
    read boolean not null,
    snoozed_until timestamptz,
    deleted boolean not null,
    primary key (entity_id, request_id)
);
-- What is snoozed is little, and is looked for among much that is not.
create index mark_snoozed on mark (entity_id, snoozed_until) where snoozed_until is not null;

-- A form that is half filled in, one for each responder; the answer's own goes with the answer.
create table draft (
    request_id text not null,
    entity_id text not null,
    payload json not null,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (request_id, entity_id)
);

-- `why` and `context` are for the responder; `default_answer` stands if the deadline comes first;
-- `search` is what the inbox looks for words in, in lower case.
alter table request
    add column why text,
    add column context text,
    add column default_answer json,
    add column search text not null default '';
update request set search = lower(concat_ws(E'\n', state ->> 'title', meta::text));

-- A default answer is nobody's.
alter table response alter column answered_by drop not null, alter column client drop not null;
