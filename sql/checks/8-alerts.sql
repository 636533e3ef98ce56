-- Law 8: no alert stands twice for one (quota, subject, window, threshold); none that is due is missing.
--
-- Of every kind: an alert's id is that of its kind and of what it is about, and none stands twice. Of new models and
-- invoices also what is missing, where it was there a minute before the kind was looked at for the last time; other
-- kinds are decided by rules that are no matter of SQL. Whoever is told is told of an alert that is kept.
--
-- Missing is judged here for quotas on quantities, in the windows of the last look; for quotas on money and of programmes
-- in billing/alerts/law.py, because prices and places are no matter of SQL. A finding has to be certain: what was begun a
-- minute before the look was there when it looked. Use that came later is left out; quotas that changed later, and those
-- of departments where the roster did, are not judged (billing/alerts/law.py says how many).
with looked as (
  select l.as_of, l.zone, l.looked_at - interval '1 minute' as surely_seen from quota_look l
),
held as (
  select distinct on (q.scope, q.subject, q.model, q.unit, q.window_kind) q.*, l.zone, l.as_of
  from quota q
  cross join looked l
  where (q.valid_from is null or q.valid_from <= l.as_of) and (q.valid_to is null or l.as_of < q.valid_to)
    and not exists (select from quota n join register_import i on i.id = n.import_id and i.imported_at >= l.surely_seen
                    where (n.scope, n.model, n.unit, n.window_kind) = (q.scope, q.model, q.unit, q.window_kind)
                      and q.subject in ('*', n.subject))
    and (q.scope <> 'department'
         or not exists (select from input_change c
                        where c.table_name in ('roster', 'reference_version') and c.began >= l.surely_seen))
  order by q.scope, q.subject, q.model, q.unit, q.window_kind, q.id desc
),
windowed as (
  select h.*, hour_of(date_trunc(h.window_kind, h.as_of at time zone h.zone) at time zone h.zone) as first_hour,
         hour_of((date_trunc(h.window_kind, h.as_of at time zone h.zone) + ('1 ' || h.window_kind)::interval)
                 at time zone h.zone) as end_hour
  from held h
  where h.limit_amount is not null and h.unit !~ '^[A-Z]{3}$'
),
-- Who wrote what a look may not have seen: a chunk's row and its parts are written by one transaction.
late as (
  select c.xmin::text::bigint as number from stream_chunk c join looked l on c.committed_at > l.surely_seen
),
-- The sums of all windows together, a row a unit.
used as (
  select p.hour, y.department, y."user", lower(r.model) as model, u.key as unit, sum(u.value::numeric) as quantity
  from usage_part p
  join route r on r.id = p.route_id
  join payer y on y.id = p.payer_id
  cross join lateral jsonb_each_text(to_jsonb(p) || coalesce(p.other_units, '{}')) u
  where p.hour >= (select min(first_hour) from windowed) and p.hour < (select max(end_hour) from windowed)
    and u.key not in ('hour', 'band', 'route_id', 'payer_id', 'partition', 'log_id', 'reason', 'events', 'written',
                      'other_units')
    and u.value is not null and (p.written & 4294967295) not in (select number from late)
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
                      and o.limit_amount is not null  -- whose own was withdrawn inherits again
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
    -- A route has no time of its own. It is stored before the first chunk that names it: where a chunk began later, but
    -- two minutes before the look, the route was there.
    select 'new_model' as kind, concat_ws('/', length(r.provider), r.provider, r.model) as key
    from route r join alert_watch w on w.kind = 'new_model'
    where r.status <> 'failure'
      and (age(r.xmin) > (select min(age(c.xmin)) from stream_chunk c where c.committed_at < w.looked_at - interval '2 minutes')
           or not exists (select from stream_chunk c where c.committed_at >= w.looked_at - interval '1 minute'))
    union
    select 'invoice', i.vendor || '/' || i.delivery
    from invoice_import i join alert_watch w on w.kind = 'invoice'
    group by i.vendor, i.delivery, w.looked_at having max(i.imported_at) < w.looked_at - interval '1 minute'
  ) o
  where not exists (select from alert a where a.kind = o.kind and a.key = o.key)
    and not exists (select from alert_known n where n.kind = o.kind and n.key = o.key)
)
select (select count(*) from quota_alert) + (select count(*) from due)
         + (select count(*) from alert where kind <> 'threshold') as checked,
       coalesce(array_agg(said order by said), '{}') as violations
from violations
