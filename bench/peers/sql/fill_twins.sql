-- $1 copies of each suspended flow.
insert into twin
select flow, request, substr(flow, 1, 18) || suffix, substr(request, 1, 18) || suffix
  from (select w.flow_id as flow, w.id as request,
               upper(lpad(to_hex((row_number() over ()) * 16), 8, '0')) as suffix
          from flow_wait w cross join generate_series(1, $1::int)
         where w.outcome is null) as made
