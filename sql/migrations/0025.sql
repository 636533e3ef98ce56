-- A day's sums of each person and key beside those of each department: who asks for people reads a person's days by its
-- key, instead of all parts of a month. Everything is rolled up anew once; until then parts are read.
create table usage_roll_person (like usage_roll, primary key (payer_id, first_hour, route_id, band))
  with (fillfactor = 80);
create index usage_roll_person_hour on usage_roll_person using brin (first_hour) with (pages_per_range = 32);
grant select on usage_roll_person to jangbu_worker, jangbu_billing, jangbu_reader;

delete from usage_roll;
delete from usage_roll_day;
update usage_roll_mark set lowest = 0, next_number = 0, running = '{}';

-- Roll up what was written since the last time, by days of a zone; null: of the zone as it was. Another zone than it was,
-- or a database that was restored into another cluster, is rolled up from the beginning. One at a time; who comes
-- meanwhile does nothing. Returns the number of parts that were added.
--
-- The snapshot's numbers are taken first. Each later statement sees at least what that one saw, and asks for it by
-- number; so it makes no difference what is committed in between. The mark is locked before it is read: two of these can
-- not both add the same parts, also where a transaction's snapshot is old (it is refused then).
create or replace function roll_up_usage(wanted_zone text default null) returns bigint
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
  rolled text;
  whose text;
begin
  if not pg_try_advisory_xact_lock(1784807433) then  -- 0x6A620009
    return 0;
  end if;
  insert into usage_roll_mark (zone, cluster, lowest, next_number, running)
    values (coalesce(wanted_zone, 'Asia/Seoul'), this_cluster, 0, 0, '{}') on conflict do nothing;
  select * into mark from usage_roll_mark for update;
  if mark.zone <> coalesce(wanted_zone, mark.zone) or mark.cluster <> this_cluster then
    delete from usage_roll;
    delete from usage_roll_person;
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
    for rolled, whose in values ('usage_roll', 'y.first_id'), ('usage_roll_person', 'p.payer_id') loop
      execute format('
        insert into %I as r (first_hour, band, route_id, payer_id, events%s)
        select t.first_hour, p.band, p.route_id, %s, sum(p.events)%s
        from usage_part p
        join days_of_hours($6, $7, $8) t on t.hour = p.hour
        join (select id, min(id) over (partition by department) as first_id from payer) y on y.id = p.payer_id
        where %s
        group by t.first_hour, p.band, p.route_id, %s
        on conflict (first_hour, band, route_id, payer_id) do update set events = r.events + excluded.events%s',
        rolled, (select string_agg(format(', %I', unit), '') from unnest(present) unit), whose,
        (select string_agg(format(', sum(p.%I)', unit), '') from unnest(present) unit), since, whose,
        (select string_agg(format(', %1$I = added(r.%1$I, excluded.%1$I)', unit), '') from unnest(present) unit))
        using mark.lowest, mark.next_number, mark.running, seen_next, seen_running, hour_first, hour_last, mark.zone;
      if has_others then
        execute format('
          insert into %I as r (first_hour, band, route_id, payer_id, events, other_units)
          select first_hour, band, route_id, whose_id, 0, jsonb_object_agg(key, quantity)
          from (select t.first_hour, p.band, p.route_id, %s as whose_id, o.key, sum(o.value::bigint) as quantity
                from usage_part p
                join days_of_hours($6, $7, $8) t on t.hour = p.hour
                join (select id, min(id) over (partition by department) as first_id from payer) y on y.id = p.payer_id
                cross join lateral jsonb_each_text(p.other_units) o
                where %s and p.other_units is not null
                group by t.first_hour, p.band, p.route_id, 4, o.key) other
          group by first_hour, band, route_id, whose_id
          on conflict (first_hour, band, route_id, payer_id) do update
            set other_units = added(r.other_units, excluded.other_units)', rolled, whose, since)
          using mark.lowest, mark.next_number, mark.running, seen_next, seen_running, hour_first, hour_last, mark.zone;
      end if;
    end loop;
  end if;
  update usage_roll_mark
    set zone = mark.zone, cluster = this_cluster, next_number = seen_next, running = seen_running, rolled_at = now(),
        lowest = coalesce((select min(one) from unnest(seen_running) one), seen_next);
  return parts_added;
end $$;
