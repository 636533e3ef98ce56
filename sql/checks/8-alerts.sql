-- Law 8: no alert stands twice for one (quota, subject, window, threshold); none that is due is missing.
--
-- Of every kind: an alert's id is that of its kind and of what it is about, and none stands twice. Of new models and
-- invoices also what is missing, where it was there a minute before the kind was looked at for the last time; other
-- kinds are decided by rules that are no matter of SQL. Whoever is told is told of an alert that is kept.
--
-- Missing is judged for quotas on quantities (what money comes to, and whose place in a programme it was, is no matter
-- of SQL), in the windows of the last look,
-- where everything that counts was there a minute before it: what came later waits for the next look.
with looked as (
  select l.as_of, l.zone, l.looked_at
  from quota_look l
  where not exists (select from stream_chunk c where c.committed_at > l.looked_at - interval '1 minute')
),
held as (
  select distinct on (q.scope, q.subject, q.model, q.unit, q.window_kind) q.*, l.zone, l.as_of
  from quota q
  join register_import i on i.id = q.import_id
  join looked l on i.imported_at < l.looked_at
                and (q.valid_from is null or q.valid_from <= l.as_of) and (q.valid_to is null or l.as_of < q.valid_to)
  order by q.scope, q.subject, q.model, q.unit, q.window_kind, q.id desc
),
windowed as (
  select h.*, hour_of(date_trunc(h.window_kind, h.as_of at time zone h.zone) at time zone h.zone) as first_hour,
         hour_of((date_trunc(h.window_kind, h.as_of at time zone h.zone) + ('1 ' || h.window_kind)::interval)
                 at time zone h.zone) as end_hour
  from held h
  where h.limit_amount is not null and h.unit !~ '^[A-Z]{3}$'
),
-- The sums of all windows together, a row a unit.
used as (
  select p.hour, y.department, y."user", lower(r.model) as model, u.key as unit, sum(u.value::numeric) as quantity
  from usage_part p
  join route r on r.id = p.route_id
  join payer y on y.id = p.payer_id
  cross join lateral jsonb_each_text(to_jsonb(p) || coalesce(p.other_units, '{}')) u
  where p.hour >= (select min(first_hour) from windowed) and p.hour < (select max(end_hour) from windowed)
    and u.key not in ('hour', 'band', 'route_id', 'payer_id', 'partition', 'log_id', 'reason', 'events', 'other_units')
    and u.value is not null
  group by 1, 2, 3, 4, 5
),
counted as (
  select w.id, w.limit_amount, w.thresholds, w.first_hour,
         case w.scope when 'organisation' then '' when 'department' then u.department else u."user" end as subject,
         sum(u.quantity) as used
  from windowed w
  join used u on u.hour >= w.first_hour and u.hour < w.end_hour
             and (w.scope = 'organisation'
                  or (w.scope = 'department' and u.department is not null and w.subject in ('*', u.department))
                  or (w.scope = 'user' and u."user" is not null and w.subject in ('*', u."user")))
             and (w.model in ('', '*') or u.model = lower(w.model)
                  or (right(w.model, 1) = '*' and starts_with(u.model, lower(left(w.model, -1)))))
             and (u.unit = w.unit or (w.unit = 'tokens' and u.unit like '%\_tokens'))
  where w.subject <> '*'
     or not exists (select from held o
                    where o.scope = w.scope and o.model = w.model and o.unit = w.unit and o.window_kind = w.window_kind
                      and o.subject = case w.scope when 'department' then u.department else u."user" end)
  group by 1, 2, 3, 4, 5
),
due as (
  select c.id as quota_id, c.subject, c.first_hour as window_hour, t.threshold, c.used, c.limit_amount
  from counted c cross join lateral unnest(c.thresholds) t (threshold)
  where c.used * 100 >= t.threshold * c.limit_amount
),
violations as (
  select format('quota %s for %L: %s percent of %s is reached with %s in the window from %s, and no alert is kept',
                d.quota_id, d.subject, d.threshold, d.limit_amount, d.used, hour_start(d.window_hour)) as said
  from due d
  where not exists (select from quota_alert a
                    where (a.quota_id, a.subject, a.window_hour, a.threshold)
                        = (d.quota_id, d.subject, d.window_hour, d.threshold))
  union all
  select format('quota %s for %L: the alert at %s percent in the window from %s is kept %s times',
                a.quota_id, a.subject, a.threshold, hour_start(a.window_hour), count(*))
  from quota_alert a group by a.quota_id, a.subject, a.window_hour, a.threshold having count(*) > 1
  union all
  select format('alert %s (%s %L) has the id %s', a.id, a.kind, a.key, a.uid)
  from alert a where a.uid <> alert_uid(a.kind, a.key)
  union all
  select format('the alert %s %L is kept %s times', a.kind, a.key, count(*))
  from alert a group by a.kind, a.key having count(*) > 1
  union all
  select format('alert %s is a threshold on one side only', coalesce(t.id, a.id))
  from quota_alert t
  full join (select * from alert where kind = 'threshold') a on a.id = t.id and a.quota_id = t.quota_id
  where t.id is null or a.id is null
  union all
  select format('%s %L was there, and no alert is kept', o.kind, o.key)
  from (
    select 'new_model' as kind, concat_ws('/', length(r.provider), r.provider, r.model) as key,
           -- a route has no time of its own: what was stored lately may be newer than the look
           coalesce((select max(committed_at) from stream_chunk), '-infinity') as since
    from route r where r.status <> 'failure'
    union
    select 'invoice', i.vendor || '/' || i.delivery, max(i.imported_at) from invoice_import i group by i.vendor, i.delivery
  ) o
  join alert_watch w on w.kind = o.kind and o.since < w.looked_at - interval '1 minute'
  where not exists (select from alert a where a.kind = o.kind and a.key = o.key)
    and not exists (select from alert_known n where n.kind = o.kind and n.key = o.key)
)
select (select count(*) from quota_alert) + (select count(*) from due)
         + (select count(*) from alert where kind <> 'threshold') as checked,
       coalesce(array_agg(said order by said), '{}') as violations
from violations
