-- Law 2: the sums equal the sums of the events, for every hour, band, route, payer, partition, log and unit; and every
-- event stands once, under the key that its source, id and time make. The rolled sums (0009.sql) equal the sums of the
-- parts that their mark saw, for every day, band, route and department, and their days hold what they say.
-- One row: how many sums were checked, and a sentence for each violation (the first hundred of a kind).
with entry as (
  -- Events count +, sums count -: whatever does not come to 0 is a violation.
  select hour_of(time) as hour, prompt_band(prompt_tokens) as band, route_id, payer_id, partition, log_id, 1 as sign,
         1::bigint as events,
         input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_tokens,
         output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens,
         image_output_tokens, video_input_tokens, web_searches, requests, other_units
  from usage_event
  union all
  select hour, band, route_id, payer_id, partition, log_id, -1, events,
         input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_tokens,
         output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens,
         image_output_tokens, video_input_tokens, web_searches, requests, other_units
  from usage_part
), difference as (
  select hour, band, route_id, payer_id, partition, log_id, sum(sign * events) as events,
         coalesce(sum(sign * input_tokens), 0) as input_tokens,
         coalesce(sum(sign * cache_read_tokens), 0) as cache_read_tokens,
         coalesce(sum(sign * cache_write_5m_tokens), 0) as cache_write_5m_tokens,
         coalesce(sum(sign * cache_write_1h_tokens), 0) as cache_write_1h_tokens,
         coalesce(sum(sign * cache_write_tokens), 0) as cache_write_tokens,
         coalesce(sum(sign * output_tokens), 0) as output_tokens,
         coalesce(sum(sign * reasoning_tokens), 0) as reasoning_tokens,
         coalesce(sum(sign * audio_input_tokens), 0) as audio_input_tokens,
         coalesce(sum(sign * audio_output_tokens), 0) as audio_output_tokens,
         coalesce(sum(sign * image_input_tokens), 0) as image_input_tokens,
         coalesce(sum(sign * image_output_tokens), 0) as image_output_tokens,
         coalesce(sum(sign * video_input_tokens), 0) as video_input_tokens,
         coalesce(sum(sign * web_searches), 0) as web_searches, coalesce(sum(sign * requests), 0) as requests
  from entry group by hour, band, route_id, payer_id, partition, log_id
), other_difference as (
  select e.hour, e.band, e.route_id, e.payer_id, e.partition, e.log_id, o.key as unit,
         sum(e.sign * o.value::bigint) as quantity
  from entry e, jsonb_each_text(e.other_units) o
  where e.other_units is not null
  group by e.hour, e.band, e.route_id, e.payer_id, e.partition, e.log_id, o.key
), copied as (
  select right(event_key::text, 28) as digest, count(*) as times from usage_event group by 1 having count(*) > 1
), seen_part as (
  select d.first_hour, p.*
  from usage_roll_mark m
  join usage_part p on is_seen(p.written, m.next_number, m.running)
                    and m.cluster = (select system_identifier from pg_control_system())
  left join usage_roll_day d on p.hour >= d.first_hour and p.hour < d.end_hour
), person_rolled as (
  select * from usage_roll_person
  where exists (select from usage_roll_mark m where m.cluster = (select system_identifier from pg_control_system()))
), roll_entry as (
  -- Parts against the sums of people, and these against the sums of departments. What counts first is +, what is made
  -- of it is -: whatever does not come to 0 is a violation.
  select true as of_person, p.first_hour, p.band, p.route_id, p.payer_id, 1 as sign, p.events,
         input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_tokens,
         output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens,
         image_output_tokens, video_input_tokens, web_searches, requests, other_units
  from seen_part p
  union all
  select of_person, first_hour, band, route_id, payer_id, case when of_person then -1 else 1 end, events,
         input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_tokens,
         output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens,
         image_output_tokens, video_input_tokens, web_searches, requests, other_units
  from person_rolled, (values (true), (false)) both_ways (of_person)
  union all
  select false, first_hour, band, route_id, payer_id, -1, events,
         input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_tokens,
         output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens,
         image_output_tokens, video_input_tokens, web_searches, requests, other_units
  from usage_roll
  where exists (select from usage_roll_mark m where m.cluster = (select system_identifier from pg_control_system()))
), roll_difference as (
  select first_hour, band, route_id, of_person, case when of_person then payer_id end as payer,
         case when not of_person then y.department end as department, sum(sign * events) as events,
         coalesce(sum(sign * input_tokens), 0) as input_tokens,
         coalesce(sum(sign * cache_read_tokens), 0) as cache_read_tokens,
         coalesce(sum(sign * cache_write_5m_tokens), 0) as cache_write_5m_tokens,
         coalesce(sum(sign * cache_write_1h_tokens), 0) as cache_write_1h_tokens,
         coalesce(sum(sign * cache_write_tokens), 0) as cache_write_tokens,
         coalesce(sum(sign * output_tokens), 0) as output_tokens,
         coalesce(sum(sign * reasoning_tokens), 0) as reasoning_tokens,
         coalesce(sum(sign * audio_input_tokens), 0) as audio_input_tokens,
         coalesce(sum(sign * audio_output_tokens), 0) as audio_output_tokens,
         coalesce(sum(sign * image_input_tokens), 0) as image_input_tokens,
         coalesce(sum(sign * image_output_tokens), 0) as image_output_tokens,
         coalesce(sum(sign * video_input_tokens), 0) as video_input_tokens,
         coalesce(sum(sign * web_searches), 0) as web_searches,
         coalesce(sum(sign * requests), 0) as requests
  from roll_entry left join payer y on y.id = payer_id
  group by 1, 2, 3, 4, 5, 6
), roll_other as (
  select e.first_hour, e.band, e.route_id, e.of_person, case when e.of_person then e.payer_id end as payer,
         case when not e.of_person then y.department end as department, o.key as unit,
         sum(e.sign * o.value::bigint) as quantity
  from roll_entry e left join payer y on y.id = e.payer_id, jsonb_each_text(e.other_units) o
  where e.other_units is not null
  group by 1, 2, 3, 4, 5, 6, 7
), roll_day as (
  select d.first_hour, d.parts, d.hour_min, d.hour_max, d.units, d.has_others, count(p.hour) as parts_seen,
         min(p.hour) as hour_min_seen, max(p.hour) as hour_max_seen, bool_or(p.other_units is not null) as others_seen,
         count(input_tokens) > 0 as input_tokens,
         count(cache_read_tokens) > 0 as cache_read_tokens,
         count(cache_write_5m_tokens) > 0 as cache_write_5m_tokens,
         count(cache_write_1h_tokens) > 0 as cache_write_1h_tokens,
         count(cache_write_tokens) > 0 as cache_write_tokens,
         count(output_tokens) > 0 as output_tokens,
         count(reasoning_tokens) > 0 as reasoning_tokens,
         count(audio_input_tokens) > 0 as audio_input_tokens,
         count(audio_output_tokens) > 0 as audio_output_tokens,
         count(image_input_tokens) > 0 as image_input_tokens,
         count(image_output_tokens) > 0 as image_output_tokens,
         count(video_input_tokens) > 0 as video_input_tokens,
         count(web_searches) > 0 as web_searches,
         count(requests) > 0 as requests
  from usage_roll_day d left join seen_part p on p.first_hour = d.first_hour
  where exists (select from usage_roll_mark m where m.cluster = (select system_identifier from pg_control_system()))
  group by d.first_hour, d.parts, d.hour_min, d.hour_max, d.units, d.has_others
), violation as (
  (select format('hour %s, band %s, route %s, payer %s, partition %s, log %s: events minus sums is %s', hour_start(hour),
                 band, route_id, payer_id, partition, log_id,
                 (select string_agg(format('%s %s', key, value), ', ')
                  from jsonb_each_text(to_jsonb(d) - '{hour,band,route_id,payer_id,partition,log_id}'::text[])
                  where value <> '0')) as sentence
   from difference d
   where (events, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
          cache_write_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens,
          image_input_tokens, image_output_tokens, video_input_tokens, web_searches, requests)
      <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
   limit 100)
  union all
  (select format('hour %s, band %s, route %s, payer %s, partition %s, log %s: events minus sums is %s %s',
                 hour_start(hour), band, route_id, payer_id, partition, log_id, unit, quantity)
   from other_difference where quantity <> 0 limit 100)
  union all
  (select format('rolled sums of the day from %s, band %s, route %s, %s %s: parts minus rolled is %s',
                 hour_start(first_hour), band, route_id, case when of_person then 'payer' else 'department' end,
                 case when of_person then payer::text else department end,
                 (select string_agg(format('%s %s', key, value), ', ')
                  from jsonb_each_text(to_jsonb(d) - '{first_hour,band,route_id,of_person,payer,department}'::text[])
                  where value <> '0'))
   from roll_difference d
   where (events, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
          cache_write_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens,
          image_input_tokens, image_output_tokens, video_input_tokens, web_searches, requests)
      <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
   limit 100)
  union all
  (select format('rolled sums of the day from %s, band %s, route %s, %s %s: parts minus rolled is %s %s',
                 hour_start(first_hour), band, route_id, case when of_person then 'payer' else 'department' end,
                 case when of_person then payer::text else department end, unit, quantity)
   from roll_other where quantity <> 0 limit 100)
  union all
  (select format('the rolled day from %s says %s parts of hours %s to %s, and holds %s of %s to %s, or it names too few '
                 'units', hour_start(first_hour), parts, hour_min, hour_max, parts_seen, hour_min_seen, hour_max_seen)
   from roll_day d
   where (parts, hour_min, hour_max) is distinct from (parts_seen, hour_min_seen, hour_max_seen)
      or others_seen and not has_others
      or exists (select from jsonb_each_text(to_jsonb(d) - '{others_seen,has_others}'::text[])
                 where value = 'true' and key <> all (d.units))
   limit 100)
  union all
  (select format('event %s of %s: its route or payer is unknown', e.event_id, e.time)
   from usage_event e left join route r on r.id = e.route_id left join payer y on y.id = e.payer_id
   where r.id is null or y.id is null limit 100)
  union all
  (select format('event %s of source %s: its key is %s', e.event_id, r.source, e.event_key)
   from usage_event e join route r on r.id = e.route_id
   where hour_of_key(e.event_key) <> hour_of(e.time)
      or right(replace(e.event_key::text, '-', ''), 24) <> left(encode(sha256(convert_to(
           octet_length(r.source) || ':' || r.source || e.event_id, 'UTF8')), 'hex'), 24)
   limit 100)
  union all
  (select format('%s copies of one source and id stand in the ledger (their key ends in %s)',
                 times, digest)
   from copied limit 100)
)
select (select count(*) from difference) + (select count(*) from roll_difference) as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
