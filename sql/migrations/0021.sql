-- Alerts of every kind: what is due is kept once under an id that follows from what it is about; silences; deliveries
-- that wait for the morning or go together.

-- The id of an alert: of its kind and of what it is about, the same whoever works it out and whenever.
create function alert_uid(kind text, key text) returns text
  language sql immutable parallel safe
  return left(encode(sha256(convert_to(kind || E'\n' || key, 'UTF8')), 'hex'), 32);

-- Not to be told about for a while: alerts of a kind, a quota, a department, or several of these at once. Only added; a
-- row that names another in `lifts` ends it.
create table alert_silence (
  id bigint generated always as identity primary key,
  kind text,
  quota_id integer references quota,
  department text,
  until timestamptz,
  lifts bigint unique references alert_silence,
  reason text not null check (reason ~ '\S' and length(reason) <= 2000),
  actor text not null check (actor <> ''),
  database_login text not null default session_user,
  recorded_at timestamptz not null default now(),
  check ((lifts is null) = (until is not null)),
  check ((lifts is null) = (coalesce(kind, quota_id::text, department) is not null))
);

-- What was due, once for a kind and a key. `content` is what a message says: quantities and money as texts of exact
-- decimals. `scope` is empty for what concerns the house itself. `department`: whose people hear of it.
create table alert (
  id bigint primary key default nextval('quota_alert_id_seq'),
  uid text not null unique,
  kind text not null check (kind in ('threshold', 'projected', 'budget', 'spike', 'new_model', 'unpriced', 'late',
                                     'silent', 'invoice', 'break', 'pledge', 'place')),
  key text not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  scope text not null check (scope in ('', 'organisation', 'department', 'programme', 'user')),
  subject text not null,
  department text,
  quota_id integer references quota,
  content jsonb not null,
  notify text[] not null,
  silenced_by bigint references alert_silence,
  as_of timestamptz not null,
  recorded_at timestamptz not null default now(),
  unique (kind, key),
  check (uid = alert_uid(kind, key)),
  check ((kind in ('threshold', 'projected')) = (quota_id is not null))
);

-- The thresholds that were kept before there were other kinds. From now on both rows are written in one transaction.
insert into alert (id, uid, kind, key, severity, scope, subject, department, quota_id, content, notify, as_of,
                   recorded_at)
select a.id, alert_uid('threshold', k.key), 'threshold', k.key,
       case when a.threshold >= 100 then 'critical' when a.threshold >= 80 then 'warning' else 'info' end,
       q.scope, a.subject, case when q.scope = 'department' then a.subject end, q.id,
       jsonb_build_object('model', q.model, 'unit', q.unit, 'window', q.window_kind, 'window_hour', a.window_hour,
                          'threshold', trim_scale(a.threshold)::text, 'used', trim_scale(a.used)::text,
                          'limit', trim_scale(a.limit_amount)::text),
       q.notify, a.recorded_at, a.recorded_at
from quota_alert a
join quota q on q.id = a.quota_id
cross join lateral (select concat_ws('/', a.quota_id, a.window_hour, trim_scale(a.threshold), a.subject) as key) k;

alter table alert_delivery drop constraint alert_delivery_alert_id_fkey;
alter table alert_delivery add foreign key (alert_id) references alert;

-- When a kind was watched for the first time, and last. What was there at the first time is `known`, and never due.
create table alert_watch (
  kind text primary key,
  began_at timestamptz not null default now(),
  looked_at timestamptz not null default now()
);
create table alert_known (
  kind text not null references alert_watch,
  key text not null,
  primary key (kind, key)
);

-- `channel`: each is sent by a process' thread of its own, so that a slow receiver of one holds no other back.
-- `bundles`: may go with others of the same recipient. `message`: the delivery whose message carries this one, decided
-- once and before anything is sent, so that what is sent again is what was sent. `is_fallback`: made because another
-- recipient could not be reached.
alter table alert_delivery
  add column channel text generated always as (
    case when recipient like 'slack:%' then 'slack' when recipient like 'command:%' then 'command'
         when recipient ~ '^https?://' then 'webhook' else 'mail' end) stored,
  add column bundles boolean not null default false,
  add column message text references alert_delivery,
  add column is_fallback boolean not null default false,
  add column made_at timestamptz not null default now();
drop index alert_delivery_waiting;
create index alert_delivery_waiting on alert_delivery (channel, next_at) where state = 'waiting';
create index alert_delivery_message on alert_delivery (message) where message is not null;

drop trigger refuse_sent on alert_delivery;
create trigger refuse_sent before update on alert_delivery for each row
  when (old.state = 'sent' or old.message is distinct from coalesce(new.message, '') and old.message is not null
        or (old.id, old.alert_id, old.recipient, old.bundles, old.is_fallback, old.made_at) is distinct from
           (new.id, new.alert_id, new.recipient, new.bundles, new.is_fallback, new.made_at))
  execute function refuse_change();

do $$
declare table_name text;
begin
  foreach table_name in array array['alert', 'alert_silence', 'alert_known'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

grant select on alert, alert_silence, alert_watch, alert_known to jangbu_billing, jangbu_reader;
grant insert on alert, alert_silence, alert_watch, alert_known to jangbu_billing;
grant usage on sequence quota_alert_id_seq to jangbu_billing;
grant update (looked_at) on alert_watch to jangbu_billing;
grant update (message) on alert_delivery to jangbu_billing;
