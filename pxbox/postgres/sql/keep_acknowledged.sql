-- Keep how far clients have dealt with channels, in one order, so that two who write the same do not
-- wait for each other in a circle. A number only grows, but for another epoch's.
insert into acknowledged as a (sub, session, channel, epoch, seq)
select k.sub, k.session, k.channel, $4, k.seq
  from unnest($1::text[], $2::text[], $3::text[], $5::bigint[]) as k (sub, session, channel, seq)
 order by k.sub, k.session, k.channel
on conflict (sub, session, channel) do update
   set epoch = excluded.epoch, seq = excluded.seq, at = excluded.at
 where a.epoch <> excluded.epoch or a.seq < excluded.seq
