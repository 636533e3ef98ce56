-- Law 4: debits = credits, for every entry and currency, and so for every period.
-- One row: how many entries were checked, and a sentence for each violation.
with side as (
  select e.id, e.month, e.description, l.currency, sum(l.amount) filter (where l.amount > 0) as debits,
         -sum(l.amount) filter (where l.amount < 0) as credits
  from ledger_entry e join ledger_line l on l.entry_id = e.id
  group by e.id, l.currency
), period as (
  select month, currency, coalesce(sum(debits), 0) as debits, coalesce(sum(credits), 0) as credits
  from side group by month, currency
), violation as (
  select format('entry %s (%s): debits %s, credits %s %s', left(id, 12), description, coalesce(debits, 0),
                coalesce(credits, 0), currency) as sentence
  from side where coalesce(debits, 0) <> coalesce(credits, 0)
  union all
  select format('period %s: debits %s, credits %s %s', month, debits, credits, currency)
  from period where debits <> credits
  union all
  select format('entry %s (%s): it has no lines', left(id, 12), description)
  from ledger_entry e where not exists (select from ledger_line l where l.entry_id = e.id)
  union all
  select format('a line of entry %s: there is no such entry', left(entry_id, 12))
  from ledger_line l where not exists (select from ledger_entry e where e.id = l.entry_id)
)
select (select count(*) from ledger_entry) as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
