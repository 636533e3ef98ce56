-- Law 6: vendor invoice = ours + classed breaks, exactly, per currency; for every recorded reconciliation.
-- One row: how many were checked, and a sentence for each that does not hold. `invoice` is summed again from the lines
-- that counted when the run was made: of days that no import up to its last one had superseded.
with run as (
  select r.*,
         (select coalesce(sum(b.amount), 0) from reconciliation_break b where b.reconciliation_id = r.id) as breaks,
         (select coalesce(sum(l.amount), 0)
          from invoice_line l
          join invoice_day d on d.import_id = l.import_id and d.day = l.day
          join invoice_import i on i.id = l.import_id
          where i.vendor = r.vendor and l.currency = r.currency and i.id <= r.last_import_id
            and l.day >= r.first_day and l.day < r.end_day
            and (d.superseded_by is null or d.superseded_by > r.last_import_id)) as lines
  from reconciliation r
), violation as (
  select id, format('reconciliation %s, %s %s %s: invoice %s - ours %s - breaks %s = %s, not 0', id, vendor, month,
                    currency, invoice_total, ours_total, breaks, invoice_total - ours_total - breaks) as sentence
  from run where invoice_total <> ours_total + breaks
  union all
  select id, format('reconciliation %s, %s %s %s: its invoice is %s, the stored lines add up to %s', id, vendor, month,
                    currency, invoice_total, lines)
  from run where invoice_total <> lines
)
select (select count(*) from run) as checked,
       coalesce((select array_agg(sentence order by id, sentence) from violation), '{}') as violations
