-- The group commit: many commits, each all or nothing, in one transaction and one round trip.
--
-- Arrays that share a prefix are the columns of one relation; `*_ord` says to which commit (1, 2,
-- ...) a row belongs. The phases are separate statements on purpose: in read committed each of
-- them sees what the locks of the one before it have let through.
-- Lock order, the same in every batch of every process: keys, requests, entities, alarms, channels.
create function px_commit(
    commit_ids uuid[], not_before timestamptz[], not_after timestamptz[],
    rq_ord int[], rq_id text[], rq_version bigint[], rq_status text[], rq_requestor text[],
    rq_deadline timestamptz[], rq_created timestamptz[], rq_state text[], rq_schema text[],
    rq_hints text[], rq_prefill text[], rq_meta text[],
    en_ord int[], en_id text[], en_version bigint[], en_state text[],
    rs_ord int[], rs_id text[], rs_request text[], rs_payload text[], rs_by text[],
    rs_client text[], rs_at timestamptz[],
    ky_ord int[], ky_space text[], ky_key text[], ky_holds text[],
    ln_ord int[], ln_table text[], ln_left text[], ln_right text[], ln_present boolean[],
    al_ord int[], al_id text[], al_due timestamptz[], al_subject text[],
    fi_ord int[], fi_id text[], fi_generation bigint[],
    ev_ord int[], ev_channel text[], ev_id text[], ev_data text[],
    relayed bigint[],
    out now timestamptz, out batch bigint, out seqs bigint[],
    out lost int[], out lost_guard text[], out lost_holds text[]
) language plpgsql as $$
declare
    bad_key int[] := '{}';
    bad_version int[] := '{}';
    bad_time int[] := '{}';
    bad_fence int[] := '{}';
    landed int[] := '{}';
    dead int[] := '{}';
    expected bigint;
    written bigint;
    names text[];
    heads bigint[];
    counts bigint[];
begin
    -- (a) Reserve the unique keys. Of two in one batch the first wins; one that another
    -- transaction is writing is waited for. An idempotency key is free again after a day.
    if cardinality(ky_ord) > 0 then
        insert into unique_key as u (space, key, commit_id, holds)
        select distinct on (k.space, k.key) k.space, k.key, commit_ids[k.ord], k.holds::json
          from unnest(ky_ord, ky_space, ky_key, ky_holds) as k (ord, space, key, holds)
         order by k.space, k.key, k.ord
        on conflict (space, key) do update
           set commit_id = excluded.commit_id, holds = excluded.holds,
               reserved_at = clock_timestamp()
         where u.space = 'idempotency'
           and u.reserved_at < clock_timestamp() - interval '24 hours';
        select coalesce(array_agg(distinct k.ord), '{}') into bad_key
          from unnest(ky_ord, ky_space, ky_key) as k (ord, space, key)
          join unique_key u on u.space = k.space and u.key = k.key
         where u.commit_id <> commit_ids[k.ord];
    end if;

    -- (b) Lock every row that may be written, in one order.
    perform 1 from request r where r.id = any(rq_id) order by r.id for update;
    if cardinality(en_ord) > 0 then
        perform 1 from entity e where e.id = any(en_id) order by e.id for update;
    end if;
    if cardinality(al_ord) + cardinality(fi_ord) > 0 then
        perform 1 from alarm a where a.id = any(al_id || fi_id) order by a.id for update;
    end if;
    now := clock_timestamp();

    -- (c) Who survives. A row that carries this very commit's id has landed before (a repeat
    -- after a lost connection): neither a loser, nor written again.
    if cardinality(rq_ord) > 0 then
        select coalesce(array_agg(i.ord) filter (where r.commit_id is distinct from
                                                       commit_ids[i.ord]), '{}'),
               coalesce(array_agg(i.ord) filter (where r.commit_id = commit_ids[i.ord]), '{}')
          into bad_version, landed
          from unnest(rq_ord, rq_id, rq_version) as i (ord, id, version)
          left join request r on r.id = i.id
         where coalesce(r.version, 0) <> i.version - 1;
    end if;
    if cardinality(en_ord) > 0 then
        select bad_version || coalesce(array_agg(i.ord) filter (where e.commit_id is distinct from
                                                       commit_ids[i.ord]), '{}'),
               landed || coalesce(array_agg(i.ord) filter (where e.commit_id =
                                                       commit_ids[i.ord]), '{}')
          into bad_version, landed
          from unnest(en_ord, en_id, en_version) as i (ord, id, version)
          left join entity e on e.id = i.id
         where coalesce(e.version, 0) <> i.version - 1;
    end if;
    select coalesce(array_agg(t.ord::int), '{}') into bad_time
      from unnest(not_before, not_after) with ordinality as t (not_before, not_after, ord)
     where now < t.not_before or now >= t.not_after;
    if cardinality(fi_ord) > 0 then
        select coalesce(array_agg(f.ord), '{}') into bad_fence
          from unnest(fi_ord, fi_id, fi_generation) as f (ord, id, generation)
         where not exists (select from alarm a
                            where a.id = f.id and a.generation = f.generation);
    end if;
    dead := bad_key || bad_version || bad_time || bad_fence || landed;

    -- (d) Write the survivors. A new row can still lose here to the same commit sent twice,
    -- whose first sending is just being committed.
    select count(*) into expected
      from unnest(rq_ord, rq_version) as i (ord, version)
     where i.version = 1 and i.ord <> all(dead);
    if expected > 0 then
        insert into request (id, version, commit_id, status, requestor, deadline_at, created_at,
                             state, schema_hash, ui_hints, prefill, meta)
        select i.id, 1, commit_ids[i.ord], i.status, i.requestor, i.deadline, i.created,
               i.state::json, i.schema, i.hints::json, i.prefill::json, i.meta::json
          from unnest(rq_ord, rq_id, rq_version, rq_status, rq_requestor, rq_deadline, rq_created,
                      rq_state, rq_schema, rq_hints, rq_prefill, rq_meta)
               as i (ord, id, version, status, requestor, deadline, created, state, schema, hints,
                     prefill, meta)
         where i.version = 1 and i.ord <> all(dead)
        on conflict do nothing;
        get diagnostics written = row_count;
        if written < expected then
            raise exception 'a new request was written twice at once' using errcode = '40001';
        end if;
    end if;
    if cardinality(rq_ord) > expected then
        update request r
           set version = i.version, commit_id = commit_ids[i.ord],
               status = coalesce(i.status, r.status), state = coalesce(i.state::json, r.state)
          from unnest(rq_ord, rq_id, rq_version, rq_status, rq_state)
               as i (ord, id, version, status, state)
         where r.id = i.id and i.version > 1 and i.ord <> all(dead);
    end if;
    if cardinality(en_ord) > 0 then
        insert into entity as e (id, version, commit_id, state)
        select i.id, i.version, commit_ids[i.ord], i.state::json
          from unnest(en_ord, en_id, en_version, en_state) as i (ord, id, version, state)
         where i.ord <> all(dead)
        on conflict (id) do update
           set version = excluded.version, commit_id = excluded.commit_id, state = excluded.state
         where e.version = excluded.version - 1;
        get diagnostics written = row_count;
        if written < (select count(*) from unnest(en_ord) as i (ord) where i.ord <> all(dead)) then
            raise exception 'a new entity was written twice at once' using errcode = '40001';
        end if;
    end if;
    if cardinality(rs_ord) > 0 then
        insert into response (id, request_id, payload, answered_by, client, answered_at)
        select i.id, i.request, i.payload::json, i.answered_by, i.client, i.at
          from unnest(rs_ord, rs_id, rs_request, rs_payload, rs_by, rs_client, rs_at)
               as i (ord, id, request, payload, answered_by, client, at)
         where i.ord <> all(dead);
    end if;
    if cardinality(ln_ord) > 0 then
        insert into addressee (request_id, entity_id)
        select i.left, i.right
          from unnest(ln_ord, ln_table, ln_left, ln_right) as i (ord, name, "left", "right")
         where i.name = 'addressee' and i.ord <> all(dead)
        on conflict do nothing;
        insert into member (group_id, entity_id)
        select i.left, i.right
          from unnest(ln_ord, ln_table, ln_left, ln_right, ln_present)
               as i (ord, name, "left", "right", present)
         where i.name = 'member' and i.present and i.ord <> all(dead)
        on conflict do nothing;
        delete from member m
         using unnest(ln_ord, ln_table, ln_left, ln_right, ln_present)
               as i (ord, name, "left", "right", present)
         where i.name = 'member' and not i.present and i.ord <> all(dead)
           and m.group_id = i.left and m.entity_id = i.right;
    end if;
    if cardinality(al_ord) > 0 then
        delete from alarm a using unnest(al_ord, al_id, al_due) as i (ord, id, due)
         where a.id = i.id and i.due is null and i.ord <> all(dead);
        insert into alarm as a (id, due_at, visible_at, subject)
        select i.id, i.due, i.due, i.subject
          from unnest(al_ord, al_id, al_due, al_subject) as i (ord, id, due, subject)
         where i.due is not null and i.ord <> all(dead)
        on conflict (id) do update
           set generation = nextval('alarm_generation'), due_at = excluded.due_at,
               visible_at = excluded.visible_at, subject = excluded.subject;
    end if;
    if cardinality(fi_ord) > 0 then
        delete from alarm a using unnest(fi_ord, fi_id, fi_generation) as i (ord, id, generation)
         where a.id = i.id and a.generation = i.generation and i.ord <> all(dead);
    end if;
    if cardinality(dead) > 0 and cardinality(ky_ord) > 0 then
        delete from unique_key u
         using unnest(ky_ord, ky_space, ky_key) as k (ord, space, key)
         where u.space = k.space and u.key = k.key and u.commit_id = commit_ids[k.ord]
           and k.ord = any(dead) and k.ord <> all(landed);
    end if;
    if cardinality(relayed) > 0 then
        delete from unrelayed u where u.batch = any(relayed);
    end if;

    -- (e) Count, last, so that the hottest locks are held shortest. (f) Number the events.
    with counted as (
        select e.channel, count(*) as n from unnest(ev_ord, ev_channel) as e (ord, channel)
         where e.ord <> all(dead) group by e.channel
    ), bumped as (
        insert into channel as c (name, head)
        select k.channel, k.n from counted k order by k.channel
        on conflict (name) do update set head = c.head + excluded.head
        returning c.name, c.head
    )
    select array_agg(b.name), array_agg(b.head), array_agg(k.n) into names, heads, counts
      from bumped b join counted k on k.channel = b.name;
    if names is not null then
        with base as (
            select * from unnest(names, heads, counts) as x (name, head, n)
        ), numbered as (
            select e.k, e.channel, e.id, e.data,
                   b.head - b.n + row_number() over (partition by e.channel order by e.k) as seq
              from unnest(ev_ord, ev_channel, ev_id, ev_data)
                   with ordinality as e (ord, channel, id, data, k)
              join base b on b.name = e.channel
             where e.ord <> all(dead)
        ), logged as (
            insert into event (channel, seq, id, data)
            select n.channel, n.seq, n.id, n.data::json from numbered n
        )
        select array_agg(n.seq order by n.k) into seqs from numbered n;
        insert into unrelayed (channels) values (names) returning unrelayed.batch into batch;
    end if;

    -- What the losers are told: the first guard that failed, and what holds instead.
    if cardinality(dead) > 0 then
        select array_agg(x.ord), array_agg(x.guard), array_agg(x.holds)
          into lost, lost_guard, lost_holds
          from (
            select d.ord, 'landed' as guard, '{}' as holds from unnest(landed) as d (ord)
            union all
            (select distinct on (d.ord) d.ord, 'key', json_build_object(
                       'space', k.space, 'key', k.key, 'holds', u.holds)::text
              from unnest(bad_key) as d (ord)
              join unnest(ky_ord, ky_space, ky_key) as k (ord, space, key) on k.ord = d.ord
              left join unique_key u on u.space = k.space and u.key = k.key
             where u.commit_id is distinct from commit_ids[d.ord] and d.ord <> all(landed)
             -- The keys that this very commit had reserved are gone by now: no losers of those.
             order by 1, u.key is null, k.space, k.key)
            union all
            select distinct on (v.ord) v.ord, 'version', json_build_object(
                       'table', v.name, 'id', v.id, 'version', v.stored)::text
              from (select i.ord, 'request' as name, i.id, i.version, r.version as stored
                      from unnest(rq_ord, rq_id, rq_version) as i (ord, id, version)
                      left join request r on r.id = i.id
                    union all
                    select i.ord, 'entity', i.id, i.version, e.version
                      from unnest(en_ord, en_id, en_version) as i (ord, id, version)
                      left join entity e on e.id = i.id) v
             where v.ord = any(bad_version) and v.ord <> all(bad_key || landed)
               and coalesce(v.stored, 0) <> v.version - 1
            union all
            select distinct d.ord, 'time', '{}' from unnest(bad_time) as d (ord)
             where d.ord <> all(bad_key || bad_version || landed)
            union all
            select distinct on (f.ord) f.ord, 'fence', json_build_object('alarm', f.id)::text
              from unnest(fi_ord, fi_id, fi_generation) as f (ord, id, generation)
             where f.ord = any(bad_fence)
               and f.ord <> all(bad_key || bad_version || bad_time || landed)
               and not exists (select from alarm a
                                where a.id = f.id and a.generation = f.generation)
          ) x;
    end if;
end $$;
