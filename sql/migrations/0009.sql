-- Sums rolled up: for each local day the sums of a department's people and keys as one row a route and band. A month's
-- money needs no more, and reads a few hundred thousand rows instead of as many as there were events.
--
-- Nothing here decides anything: a reader adds to the rolled sums what was written since, and that is always exactly
-- what usage_part holds, however long ago somebody rolled up (billing/sums.py; law 2 checks it).

-- Which transaction wrote a part. A snapshot's numbers then say which parts it saw, whoever wrote them, without any
-- lock, and without a thought for what was committed in which order.
alter table usage_part add column written bigint not null default (pg_current_xact_id()::text)::bigint;
drop index usage_part_hour;
create index usage_part_hour on usage_part using brin (hour, written) with (pages_per_range = 32, autosummarize = on);

-- Up to where the sums are rolled up: every part of a transaction below `next_number` that is not among `running`.
-- `cluster` because numbers of transactions mean nothing in another one: restored there, everything is rolled up anew.
create table usage_roll_mark (
  only_row boolean primary key default true check (only_row),
  zone text not null,
  cluster bigint not null,
  lowest bigint not null,
  next_number bigint not null,
  running bigint[] not null,
  rolled_at timestamptz not null default now()
);

-- The days that are rolled up: half-open UTC hours, no two of which overlap, how many parts they hold, the first and the
-- last hour that has one, and the columns of units that are not empty (more may be named), so that nobody adds up a
-- column of nothing.
create table usage_roll_day (
  first_hour integer not null,
  end_hour integer not null check (end_hour > first_hour),
  parts bigint not null,
  hour_min integer not null check (hour_min >= first_hour),
  hour_max integer not null check (hour_max < end_hour),
  units text[] not null,
  has_others boolean not null,
  primary key (first_hour, end_hour),
  exclude using gist (int4range(first_hour, end_hour) with &&)
);

-- The sums of a day. `payer_id` is any payer of the department; one department may have rows with several.
create table usage_roll (
  first_hour integer not null,
  band bigint not null,
  route_id integer not null,
  payer_id integer not null,
  events bigint not null,
  input_tokens bigint,
  cache_read_tokens bigint,
  cache_write_5m_tokens bigint,
  cache_write_1h_tokens bigint,
  cache_write_tokens bigint,
  output_tokens bigint,
  reasoning_tokens bigint,
  audio_input_tokens bigint,
  audio_output_tokens bigint,
  image_input_tokens bigint,
  image_output_tokens bigint,
  video_input_tokens bigint,
  web_searches bigint,
  requests bigint,
  other_units jsonb,
  primary key (first_hour, band, route_id, payer_id)
) with (fillfactor = 80);

-- The sum of two quantities, or of two maps of units, where either may be untold.
create function added(one bigint, other bigint) returns bigint
  language sql immutable parallel safe
  return coalesce(one + other, one, other);

create function added(one jsonb, other jsonb) returns jsonb
  language sql immutable parallel safe
  return (select jsonb_object_agg(key, total) from (
            select key, sum(value::bigint) as total
            from (select * from jsonb_each_text(one) union all select * from jsonb_each_text(other)) each_unit
            group by key) summed);

-- Whether a snapshot saw what a transaction wrote.
create function is_seen(written bigint, next_number bigint, running bigint[]) returns boolean
  language sql immutable parallel safe
  return written < next_number and written <> all (running);

-- Each UTC hour of a stretch with the day of a zone that it lies in, as half-open hours.
create function days_of_hours(hour_first integer, hour_last integer, zone text)
  returns table (hour integer, first_hour integer, end_hour integer)
  language sql stable parallel safe as $$
  select * from (
    select each_hour, min(each_hour) over day, max(each_hour) over day + 1
    from generate_series(hour_first - 30, hour_last + 30) each_hour
    window day as (partition by (hour_start(each_hour) at time zone zone)::date)
  ) placed where each_hour between hour_first and hour_last
$$;

-- Roll up what was written since the last time, by days of a zone; null: of the zone as it was. Another zone than it was,
-- or a database that was restored into another cluster, is rolled up from the beginning. One at a time; who comes
-- meanwhile does nothing. Returns the number of parts that were added.
--
-- The snapshot's numbers are taken first. Each later statement sees at least what that one saw, and asks for it by
-- number; so it makes no difference what is committed in between. The mark is locked before it is read: two of these can
-- not both add the same parts, also where a transaction's snapshot is old (it is refused then).
create function roll_up_usage(wanted_zone text default null) returns bigint
  language plpgsql security definer set search_path = public, pg_temp set jit = off set work_mem = '128MB' as $$
declare
  units constant text[] := array['input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
    'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'audio_input_tokens', 'audio_output_tokens',
    'image_input_tokens', 'image_output_tokens', 'video_input_tokens', 'web_searches', 'requests'];
  -- $1 to $5: what the mark saw, and what this snapshot sees
  since constant text := 'p.written >= $1 and not is_seen(p.written, $2, $3) and is_seen(p.written, $4, $5)';
  mark usage_roll_mark;
  this_cluster bigint := (select system_identifier from pg_control_system());
  seen pg_snapshot;
  seen_next bigint;
  seen_running bigint[];
  parts_added bigint;
  hour_first integer;
  hour_last integer;
  present text[];
  has_others boolean;
begin
  if not pg_try_advisory_xact_lock(1784807433) then  -- 0x6A620009
    return 0;
  end if;
  insert into usage_roll_mark (zone, cluster, lowest, next_number, running)
    values (coalesce(wanted_zone, 'Asia/Seoul'), this_cluster, 0, 0, '{}') on conflict do nothing;
  select * into mark from usage_roll_mark for update;
  if mark.zone <> coalesce(wanted_zone, mark.zone) or mark.cluster <> this_cluster then
    delete from usage_roll;
    delete from usage_roll_day;
    mark.zone := coalesce(wanted_zone, mark.zone);
    mark.lowest := 0;
    mark.next_number := 0;
    mark.running := '{}';
  end if;
  seen := pg_current_snapshot();
  seen_next := pg_snapshot_xmax(seen)::text::bigint;
  seen_running := array(select one::text::bigint from pg_snapshot_xip(seen) one);
  execute format('select count(*), min(hour), max(hour), array_remove(array[%s], null), bool_or(other_units is not null)
                  from usage_part p where %s',
                 (select string_agg(format('case when count(%1$I) > 0 then %1$L end', unit), ', ')
                  from unnest(units) unit), since)
    into parts_added, hour_first, hour_last, present, has_others
    using mark.lowest, mark.next_number, mark.running, seen_next, seen_running;

  if parts_added > 0 then
    execute format('
      insert into usage_roll_day as d (first_hour, end_hour, parts, hour_min, hour_max, units, has_others)
      select t.first_hour, t.end_hour, sum(h.parts), min(h.hour), max(h.hour), $9, $10
      from (select hour, count(*) as parts from usage_part p where %s group by hour) h
      join days_of_hours($6, $7, $8) t on t.hour = h.hour
      group by t.first_hour, t.end_hour
      on conflict (first_hour, end_hour) do update
        set parts = d.parts + excluded.parts, hour_min = least(d.hour_min, excluded.hour_min),
            hour_max = greatest(d.hour_max, excluded.hour_max), has_others = d.has_others or excluded.has_others,
            units = case when d.units @> excluded.units then d.units
                         else array(select distinct unnest(d.units || excluded.units)) end', since)
      using mark.lowest, mark.next_number, mark.running, seen_next, seen_running, hour_first, hour_last, mark.zone,
            present, has_others;
    execute format('
      insert into usage_roll as r (first_hour, band, route_id, payer_id, events%s)
      select t.first_hour, p.band, p.route_id, y.first_id, sum(p.events)%s
      from usage_part p
      join days_of_hours($6, $7, $8) t on t.hour = p.hour
      join (select id, min(id) over (partition by department) as first_id from payer) y on y.id = p.payer_id
      where %s
      group by t.first_hour, p.band, p.route_id, y.first_id
      on conflict (first_hour, band, route_id, payer_id) do update set events = r.events + excluded.events%s',
      (select string_agg(format(', %I', unit), '') from unnest(present) unit),
      (select string_agg(format(', sum(p.%I)', unit), '') from unnest(present) unit), since,
      (select string_agg(format(', %1$I = added(r.%1$I, excluded.%1$I)', unit), '') from unnest(present) unit))
      using mark.lowest, mark.next_number, mark.running, seen_next, seen_running, hour_first, hour_last, mark.zone;
  end if;
  if has_others then
    execute format('
      insert into usage_roll as r (first_hour, band, route_id, payer_id, events, other_units)
      select first_hour, band, route_id, first_id, 0, jsonb_object_agg(key, quantity)
      from (select t.first_hour, p.band, p.route_id, y.first_id, o.key, sum(o.value::bigint) as quantity
            from usage_part p
            join days_of_hours($6, $7, $8) t on t.hour = p.hour
            join (select id, min(id) over (partition by department) as first_id from payer) y on y.id = p.payer_id
            cross join lateral jsonb_each_text(p.other_units) o
            where %s and p.other_units is not null
            group by t.first_hour, p.band, p.route_id, y.first_id, o.key) other
      group by first_hour, band, route_id, first_id
      on conflict (first_hour, band, route_id, payer_id) do update
        set other_units = added(r.other_units, excluded.other_units)', since)
      using mark.lowest, mark.next_number, mark.running, seen_next, seen_running, hour_first, hour_last, mark.zone;
  end if;
  update usage_roll_mark
    set zone = mark.zone, cluster = this_cluster, next_number = seen_next, running = seen_running, rolled_at = now(),
        lowest = coalesce((select min(one) from unnest(seen_running) one), seen_next);
  return parts_added;
end $$;
revoke execute on function roll_up_usage(text) from public;
grant execute on function roll_up_usage(text) to jangbu_worker, jangbu_billing;
grant select on usage_roll_mark, usage_roll_day, usage_roll to jangbu_worker, jangbu_billing, jangbu_reader;

-- Copies, looked for where something came. Two copies of one event lie in different hours; once every pair is looked at,
-- only hours that got parts since can hold a new one. `copies_mark` says, as usage_roll_mark does, which transactions'
-- parts were seen when all copies had last been taken out. Law 2 looks at every event, whatever stands here.
create table copies_mark (
  only_row boolean primary key default true check (only_row),
  cluster bigint not null,
  lowest bigint not null,
  next_number bigint not null,
  running bigint[] not null
);

-- The last 8 bytes of an event's key: of its digest, so that copies have the same whatever their hour.
create function event_tail(event_key uuid) returns bigint
  language sql immutable parallel safe
  return substr(uuid_send(event_key), 9)::bigint;

-- The least key of a UTC hour: 4 bytes of hour, then zeros.
create function first_key(hour integer) returns uuid
  language sql immutable parallel safe
  return (lpad(to_hex(hour), 8, '0') || repeat('0', 24))::uuid;

-- The events that share their digest with one in another hour, of those that may be new. Nothing is missed: a pair was
-- looked at together by the run after which both had been stored, and the later one of them lies in an hour that has
-- parts since the run before.
create function copied_events() returns setof uuid
  language plpgsql stable security definer set search_path = public, pg_temp set jit = off set work_mem = '256MB' as $$
declare
  mark copies_mark;
  hours integer[];
  tails bigint[];
begin
  select * into mark from copies_mark where cluster = (select system_identifier from pg_control_system());
  if mark is null then
    tails := array(select event_tail(event_key) from usage_event group by 1 having count(*) > 1);
  else
    hours := array(select distinct hour from usage_part
                   where written >= mark.lowest and not is_seen(written, mark.next_number, mark.running));
    if cardinality(hours) = 0 then
      return;
    end if;
    tails := array(
      select event_tail(event_key) from usage_event
      where event_tail(event_key) in (
        select event_tail(fresh.event_key)
        from unnest(hours) hour
        cross join lateral (select event_key from usage_event
                            where event_key >= first_key(hour) and event_key < first_key(hour + 1)) fresh)
      group by 1 having count(*) > 1);
  end if;
  if cardinality(tails) > 0 then
    return query select event_key from (
      select event_key, count(*) over (partition by right(event_key::text, 28)) as times
      from usage_event where event_tail(event_key) = any (tails)) found
    where times > 1;
  end if;
end $$;

create or replace function take_out_copies() returns bigint
  language plpgsql as $$
declare
  taken bigint;
  seen pg_snapshot;
begin
  -- One after the other with add_prompt_threshold and reattribute: each moves the sums of events that it has read.
  perform from reference_version for update;
  lock table usage_event in share row exclusive mode;
  seen := pg_current_snapshot();
  create temporary table copy_out on commit drop as
    select event_key from (
      select e.event_key, row_number() over (partition by right(e.event_key::text, 28)
                                             order by e.log_id, e.kafka_offset, e.partition, e.event_key) as place
      from usage_event e join copied_events() c on c = e.event_key
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
  perform mark_copies_out(seen);
  return taken;
end $$;

-- Copies that a snapshot saw are out.
create function mark_copies_out(seen pg_snapshot) returns void
  language sql security definer set search_path = public, pg_temp as $$
  insert into copies_mark as m (cluster, lowest, next_number, running)
  select c.system_identifier,
         coalesce((select min(one::text::bigint) from pg_snapshot_xip(seen) one), pg_snapshot_xmax(seen)::text::bigint),
         pg_snapshot_xmax(seen)::text::bigint, array(select one::text::bigint from pg_snapshot_xip(seen) one)
  from pg_control_system() c
  on conflict (only_row) do update set cluster = excluded.cluster, lowest = excluded.lowest,
    next_number = excluded.next_number, running = excluded.running
$$;
revoke execute on function mark_copies_out(pg_snapshot) from public;
grant execute on function mark_copies_out(pg_snapshot) to jangbu_billing;
grant select on copies_mark to jangbu_billing, jangbu_reader;
