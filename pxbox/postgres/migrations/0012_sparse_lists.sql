-- What matches few of a responder's inquiries is found by an index of its own: in the order of the
-- lists it would be looked for among all of them. Most requests have neither flow nor tag.
create index inquiry_requestor on inquiry (entity_id, requestor, status);
create index inquiry_flow on inquiry (flow_id, entity_id) where flow_id is not null;
create index inquiry_tags on inquiry using gin (tags) where tags <> '{}';
