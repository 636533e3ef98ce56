-- Law 2: the sums equal the sums of the events, for every hour, band, route, payer, partition, log and unit; and every
-- event stands once, under the key that its source, id and time make.
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
select (select count(*) from difference) as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
