-- Delete up to $2 events older than $1, from each channel's floor on and without a gap, and move the
-- floor in the same step (E5); returns how many those were. A channel that a commit is just counting
-- is left for the next time: commits never wait for this.
with found as (
    select distinct e.channel
      from (select channel from event where at < statement_timestamp() - $1::interval limit $2) e
), locked as materialized (
    select c.name, c.floor from channel c
     where c.name in (select f.channel from found f)
     order by c.name for update skip locked
), old as (
    select l.name, l.floor, e.seq
      from locked l cross join lateral (
        select seq from event
         where channel = l.name and seq > l.floor and seq <= l.floor + $2
           and at < statement_timestamp() - $1::interval
         order by seq) e
     limit $2
), going as (
    -- One that is younger than those behind it, by a clock that was set back, keeps them all.
    select o.name, o.seq from (
        select name, seq, floor + row_number() over (partition by name order by seq) as expected
          from old) o
     where o.seq = o.expected
), gone as (
    delete from event e using going g where e.channel = g.name and e.seq = g.seq
), moved as (
    update channel c set floor = g.upto
      from (select name, max(seq) as upto from going group by name) g
     where c.name = g.name
)
select count(*) as gone from going
