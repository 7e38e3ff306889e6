-- The second half of every step, in the same statement as its change (so: one transaction and
-- one round trip): number the event on its three channels, log it, notify the subscribers.
-- $1 is the event's type, $2 its actor. No row back: the change's guard failed.
, told as (
    select json_build_object(
               'type', $1::text, 'requestId', id, 'version', version, 'status', status,
               'at', updated_at, 'actor', $2::text, 'title', title, 'requestor', requestor,
               'to', addressee, 'deadlineAt', deadline_at,
               'claimedBy', claimed_by, 'claimExpiresAt', claim_expires_at) as data,
           array['request:' || id, 'requestor:' || requestor, 'entity:' || addressee] as channels
      from changed
), bumped as (
    insert into channel as c (name, head)
    select name, 1 from told, unnest(channels) as name order by name
    on conflict (name) do update set head = c.head + 1
    returning c.name, c.head
), logged as (
    insert into event (channel, seq, data)
    select name, head, data from bumped, told
)
select id, version, status, claim_expires_at,
       pg_notify('events', json_build_object(
           'event', data, 'seqs', (select json_object_agg(name, head) from bumped))::text)
  from changed, told
