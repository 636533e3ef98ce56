-- People's sums of a day come in over the day, so that a department's lie all over the table. Once a day is over they are
-- written anew, department by department: who reads a department's people then reads a thirtieth of the pages. Their old
-- places are to be cleared soon, or they would still be looked at.
alter table usage_roll_day add column is_ordered boolean not null default false;
alter table usage_roll_person set (autovacuum_vacuum_scale_factor = 0.01);

-- Put the sums of days that ended a day ago or longer in order, the latest days first; how many days. What comes late
-- stands where there is room. One at a time, and never beside roll_up_usage(): who comes meanwhile does nothing.
create function order_rolled_days(days_max integer default 7) returns integer
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  day integer;
  days integer := 0;
begin
  if not pg_try_advisory_xact_lock(1784807433) then  -- 0x6A620009, as roll_up_usage()
    return 0;
  end if;
  for day in select first_hour from usage_roll_day
             where not is_ordered and end_hour <= floor(extract(epoch from now()) / 3600)::integer - 24
             order by first_hour desc limit days_max loop
    with old as (delete from usage_roll_person where first_hour = day returning *)
    insert into usage_roll_person
      select old.* from old join payer y on y.id = old.payer_id order by y.department, old.payer_id, old.route_id, old.band;
    update usage_roll_day set is_ordered = true where first_hour = day;
    days := days + 1;
  end loop;
  return days;
end $$;
revoke execute on function order_rolled_days(integer) from public;
grant execute on function order_rolled_days(integer) to jangbu_worker, jangbu_billing;
