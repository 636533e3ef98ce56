-- Reading usage by name, moving sums when facts change, and the rights of the three roles.

-- Usage by hour and unit with its names. One row for each part and unit: sum before you show.
create view usage_unit as
  select hour_start(p.hour) as hour, y.department, y.attributed_by, y."user", y.key,
         r.source, r.provider, r.model, r.account, r.service_tier, r.region, r.operation, r.status, r.usage_source,
         p.band as prompt_above, u.unit, u.quantity
  from usage_part p
  join route r on r.id = p.route_id
  join payer y on y.id = p.payer_id
  cross join lateral (
    select v.unit, v.quantity
    from (values ('input_tokens', p.input_tokens), ('cache_read_tokens', p.cache_read_tokens),
                 ('cache_write_5m_tokens', p.cache_write_5m_tokens), ('cache_write_1h_tokens', p.cache_write_1h_tokens),
                 ('cache_write_tokens', p.cache_write_tokens), ('output_tokens', p.output_tokens),
                 ('reasoning_tokens', p.reasoning_tokens), ('audio_input_tokens', p.audio_input_tokens),
                 ('audio_output_tokens', p.audio_output_tokens), ('image_input_tokens', p.image_input_tokens),
                 ('image_output_tokens', p.image_output_tokens), ('video_input_tokens', p.video_input_tokens),
                 ('web_searches', p.web_searches), ('requests', p.requests)) v (unit, quantity)
    where v.quantity is not null
    union all
    select o.key, o.value::bigint from jsonb_each_text(p.other_units) o
  ) u;

-- The ledger of events with its names; `kafka_offset` and `partition` find the record itself.
create view usage_event_named as
  select e.time, r.source, e.event_id, y.department, y.attributed_by, y."user", y.key,
         r.provider, r.model, r.account, r.service_tier, r.region, r.operation, e.attempt, r.status, r.usage_source,
         e.prompt_tokens, e.reported_cost, r.reported_currency, e.tags,
         e.input_tokens, e.cache_read_tokens, e.cache_write_5m_tokens, e.cache_write_1h_tokens, e.cache_write_tokens,
         e.output_tokens, e.reasoning_tokens, e.audio_input_tokens, e.audio_output_tokens, e.image_input_tokens,
         e.image_output_tokens, e.video_input_tokens, e.web_searches, e.requests, e.other_units,
         l.topic, e.partition, e.kafka_offset, e.event_key
  from usage_event e
  join route r on r.id = e.route_id
  join payer y on y.id = e.payer_id
  join topic_log l on l.id = e.log_id;

create function negated_units(units jsonb) returns jsonb
  language sql immutable parallel safe
  return (select jsonb_object_agg(key, -value::bigint) from jsonb_each_text(units));

-- Take the sums of the events in the table `moved (event_key, old_route, new_route, old_payer, new_payer, old_band,
-- new_band)` from one place and add them to another, in parts. Returns the number of events moved.
create function append_moved_parts(why text) returns bigint
  language plpgsql as $$
declare moved_events bigint;
begin
  insert into usage_part (hour, band, route_id, payer_id, partition, log_id, reason, events,
                          input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                          cache_write_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens,
                          image_input_tokens, image_output_tokens, video_input_tokens, web_searches, requests)
  select hour_of(e.time), s.band, e.route_id, s.payer_id, e.partition, e.log_id, why, sum(s.sign),
         sum(s.sign * input_tokens), sum(s.sign * cache_read_tokens), sum(s.sign * cache_write_5m_tokens),
         sum(s.sign * cache_write_1h_tokens), sum(s.sign * cache_write_tokens), sum(s.sign * output_tokens),
         sum(s.sign * reasoning_tokens), sum(s.sign * audio_input_tokens), sum(s.sign * audio_output_tokens),
         sum(s.sign * image_input_tokens), sum(s.sign * image_output_tokens), sum(s.sign * video_input_tokens),
         sum(s.sign * web_searches), sum(s.sign * requests)
  from moved m
  join usage_event e using (event_key)
  cross join lateral (values (-1, m.old_payer, m.old_band), (1, m.new_payer, m.new_band)) s (sign, payer_id, band)
  group by hour_of(e.time), s.band, e.route_id, s.payer_id, e.partition, e.log_id;

  insert into usage_part (hour, band, route_id, payer_id, partition, log_id, reason, events, other_units)
  select hour_of(e.time), s.band, e.route_id, s.payer_id, e.partition, e.log_id, why, 0,
         case when s.sign < 0 then negated_units(e.other_units) else e.other_units end
  from moved m
  join usage_event e using (event_key)
  cross join lateral (values (-1, m.old_payer, m.old_band), (1, m.new_payer, m.new_band)) s (sign, payer_id, band)
  where e.other_units is not null;

  select count(*) into moved_events from moved;
  return moved_events;
end $$;

-- Add a prompt-length threshold that some price uses, and move the sums of longer prompts into its band.
-- Workers wait meanwhile and read the new threshold before their next chunk. Returns the number of events moved.
create function add_prompt_threshold(threshold bigint) returns bigint
  language plpgsql as $$
declare moved_events bigint;
begin
  update reference_version set version = version + 1;
  if exists (select from prompt_threshold where tokens_above = threshold) then
    return 0;
  end if;
  create temporary table moved on commit drop as
    select event_key, payer_id as old_payer, payer_id as new_payer,
           prompt_band(prompt_tokens) as old_band, threshold as new_band
    from usage_event
    where prompt_tokens > threshold
      and prompt_tokens <= coalesce((select min(tokens_above) from prompt_threshold where tokens_above > threshold),
                                    9223372036854775807);
  insert into prompt_threshold (tokens_above) values (threshold);
  moved_events := append_moved_parts('threshold');
  drop table moved;
  return moved_events;
end $$;

-- Who a user or key belonged to at a moment: by key, else by user; the row that began last wins; rows of a user
-- without a key go before rows that also name one (contract.md, section 9).
create function department_at(asked_user text, asked_key text, moment timestamptz,
                              out department text, out attributed_by text)
  language sql stable parallel safe as $$
  select found.department, found.attributed_by from (
    select r.department, 'key' as attributed_by, 1 as rank, r.valid_from, r.id
    from roster r
    where r.key = asked_key and r.valid_from <= moment and (r.valid_to is null or moment < r.valid_to)
    union all
    select r.department, 'user', case when r.key is null then 2 else 3 end, r.valid_from, r.id
    from roster r
    where r."user" = asked_user and r.valid_from <= moment and (r.valid_to is null or moment < r.valid_to)
    union all
    select null, 'nobody', 4, '-infinity', 0
  ) found
  order by found.rank, found.valid_from desc, found.id desc
  limit 1
$$;

-- Attribute again what no event decided itself, within [from_time, to_time). Call it in the transaction that changed
-- the roster. Returns one row for each department that lost or gained, with the events moved.
create function reattribute(from_time timestamptz, to_time timestamptz)
  returns table (old_department text, new_department text, moved_events bigint)
  language plpgsql as $$
begin
  update reference_version set version = version + 1;
  create temporary table moved on commit drop as
    select e.event_key, e.payer_id as old_payer, 0 as new_payer, prompt_band(e.prompt_tokens) as old_band,
           prompt_band(e.prompt_tokens) as new_band,
           y."user", y.key, y.department as was, d.department as becomes, d.attributed_by
    from usage_event e
    join payer y on y.id = e.payer_id
    cross join lateral department_at(y."user", y.key, e.time) d
    where y.attributed_by <> 'event' and e.time >= from_time and e.time < to_time
      and (y.department, y.attributed_by) is distinct from (d.department, d.attributed_by);
  insert into payer (department, attributed_by, "user", key)
    select distinct becomes, m.attributed_by, m."user", m.key from moved m
    on conflict do nothing;
  update moved m set new_payer = y.id from payer y
    where (y.department, y.attributed_by, y."user", y.key)
      is not distinct from (m.becomes, m.attributed_by, m."user", m.key);
  perform append_moved_parts('roster');
  update usage_event e set payer_id = m.new_payer from moved m where m.event_key = e.event_key;
  return query select m.was, m.becomes, count(*) from moved m group by m.was, m.becomes order by 1, 2;
  drop table moved;
end $$;

-- Copies of one (source, id) that came with times in different hours, so that the key did not tell. Of two copies the
-- lower offset stands (across partitions: the lower partition); the other leaves the sums by a negative part and the
-- ledger for the quarantine. Returns the number taken out.
create function take_out_copies() returns bigint
  language plpgsql as $$
declare taken bigint;
begin
  -- One after the other with add_prompt_threshold and reattribute: each moves the sums of events that it has read.
  perform from reference_version for update;
  lock table usage_event in share row exclusive mode;
  create temporary table copy_out on commit drop as
    select event_key from (
      select event_key, row_number() over (partition by right(event_key::text, 28)
                                           order by log_id, kafka_offset, partition, event_key) as place
      from usage_event
    ) ranked where place > 1;
  insert into usage_part (hour, band, route_id, payer_id, partition, log_id, reason, events,
                          input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                          cache_write_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens,
                          image_input_tokens, image_output_tokens, video_input_tokens, web_searches, requests,
                          other_units)
  select hour_of(e.time), prompt_band(e.prompt_tokens), e.route_id, e.payer_id, e.partition, e.log_id, 'copy', -1,
         -input_tokens, -cache_read_tokens, -cache_write_5m_tokens, -cache_write_1h_tokens, -cache_write_tokens,
         -output_tokens, -reasoning_tokens, -audio_input_tokens, -audio_output_tokens, -image_input_tokens,
         -image_output_tokens, -video_input_tokens, -web_searches, -requests, negated_units(other_units)
  from usage_event e join copy_out using (event_key);
  insert into quarantine (log_id, partition, kafka_offset, record_time, code, field, value, reason, event_key)
  select e.log_id, e.partition, e.kafka_offset, e.time, 'duplicate_other_time', 'id', e.event_id,
         'the same source and id is in the ledger with another time; this copy was taken out of the sums',
         e.event_key
  from usage_event e join copy_out using (event_key);
  delete from usage_event e using copy_out c where c.event_key = e.event_key;
  get diagnostics taken = row_count;
  drop table copy_out;
  return taken;
end $$;

create index usage_event_long_prompt on usage_event (prompt_tokens) where prompt_tokens > 32768;

grant usage on schema public to jangbu_worker, jangbu_billing, jangbu_reader;
grant select on all tables in schema public to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on route, payer, topic_log, stream_offset, stream_chunk, usage_event, usage_part, quarantine
  to jangbu_worker;
grant update (next_offset) on stream_offset to jangbu_worker;
-- Locking a row FOR SHARE asks for the right to update some column of it.
grant update (only_row) on reference_version to jangbu_worker;
grant insert, update, delete on roster to jangbu_billing;
grant insert on payer, usage_part, quarantine, prompt_threshold to jangbu_billing;
grant update (version) on reference_version to jangbu_billing;
grant update (payer_id) on usage_event to jangbu_billing;
grant delete on usage_event to jangbu_billing;
grant update (state, decided_at, decided_by) on quarantine to jangbu_billing;
