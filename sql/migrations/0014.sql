-- Quotas and their alerts. What counts against a quota is derived from the sums at any time; only limits and what was
-- told are kept.

alter table register_import drop constraint register_import_register_check;
alter table register_import
  add constraint register_import_register_check check (register in ('department', 'budget', 'quota'));

-- A limit on use. `subject` is empty for the organisation, `*` for each department or user without a row of its own;
-- `model` is empty for all. `limit_amount` null withdraws the quota. Thresholds are percent of the limit. Of rows of
-- one (scope, subject, model, unit, window_kind) that hold at a moment the last id counts.
create table quota (
  id integer primary key check (id > 0),
  import_id integer not null references register_import,
  scope text not null check (scope in ('organisation', 'department', 'user')),
  subject text not null check ((scope = 'organisation') = (subject = '')),
  model text not null,
  unit text not null check (unit <> ''),
  window_kind text not null check (window_kind in ('hour', 'day', 'week', 'month', 'year')),
  limit_amount numeric check (limit_amount > 0),
  thresholds numeric[] not null check (cardinality(thresholds) > 0),
  notify text[] not null,
  mode text not null check (mode in ('soft', 'hard')),
  valid_from timestamptz,
  valid_to timestamptz check (valid_to > valid_from)
);

-- A threshold that was reached, once for a quota's row, the one it counts for, and a window (UTC hour at which it
-- begins). `used` and `limit_amount` are what they were then.
create table quota_alert (
  id bigint generated always as identity primary key,
  quota_id integer not null references quota,
  subject text not null,
  window_hour integer not null,
  threshold numeric not null check (threshold > 0),
  used numeric not null,
  limit_amount numeric not null,
  recorded_at timestamptz not null default now(),
  unique (quota_id, subject, window_hour, threshold)
);

-- When quotas were last looked at (`looked_at`), as of which instant, and in which zone windows were cut: law 8 judges
-- by it.
create table quota_look (
  only_row boolean primary key default true check (only_row),
  looked_at timestamptz not null,
  as_of timestamptz not null,
  zone text not null
);

do $$
declare table_name text;
begin
  foreach table_name in array array['quota', 'quota_alert'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

grant select on quota, quota_alert, quota_look to jangbu_billing, jangbu_reader;
grant insert on quota, quota_alert, quota_look to jangbu_billing;
grant update on quota_look to jangbu_billing;
