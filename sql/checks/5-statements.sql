-- Law 5: the statements of a period add up to the ledger of that period: each department's total is what its cost
-- account was debited, by section too; the organisation's is the sum of them; and what a document shows adds up to it.
-- One row: how many statements were checked, and a sentence for each violation.
with kept as materialized (
  select month, kind, department, total, document::jsonb as document from statement
), booked as (
  select e.month, l.department, l.section, sum(l.amount) as amount
  from ledger_entry e join ledger_line l on l.entry_id = e.id
  where l.account = 'cost'
  group by e.month, l.department, l.section
), shown as (
  select s.month, s.kind, s.department, s.total, part.section, coalesce(sum(part.amount), 0) as amount
  from kept s
  left join lateral (
    select named.section, (item ->> 'amount')::numeric as amount
    from (values ('lines', 'lines'), ('allocated', 'allocated'), ('adjustments', 'adjustments'), ('tax', 'taxes'))
           named (section, key)
    cross join lateral jsonb_array_elements(s.document -> named.key) item
  ) part on true
  group by s.month, s.kind, s.department, s.total, part.section
), parts as (
  select month, kind, department, total, sum(amount) as amount from shown group by month, kind, department, total
), department_total as (
  select month, sum(total) as total, count(*) as statements from statement where kind = 'department' group by month
), violation as (
  select format('%s, department %s, %s: the statement shows %s, the ledger %s', coalesce(s.month, b.month),
                coalesce(s.department, b.department, '(unattributed)'), coalesce(s.section, b.section),
                coalesce(s.amount, 0), coalesce(b.amount, 0)) as sentence
  from (select * from shown where kind = 'department' and section is not null) s
  full join booked b on s.month = b.month and s.section = b.section
    and coalesce('=' || s.department, '') = coalesce('=' || b.department, '')
  where coalesce(s.amount, 0) <> coalesce(b.amount, 0)
  union all
  select format('%s, %s: what it shows adds up to %s, its total is %s', month,
                case when kind = 'organisation' then 'organisation'
                     else 'department ' || coalesce(department, '(unattributed)') end, amount, total)
  from parts where amount <> total
  union all
  select format('%s, %s: the document says %s, the statement %s', month, coalesce(department, kind),
                document ->> 'total', total)
  from kept where (document ->> 'total')::numeric <> total
  union all
  select format('%s: the statements of departments add up to %s, the organisation''s says %s', c.month,
                coalesce(d.total, 0), coalesce(o.total::text, 'nothing'))
  from period_close c
  left join department_total d on d.month = c.month
  left join statement o on o.month = c.month and o.kind = 'organisation'
  where coalesce(d.total, 0) is distinct from o.total
  union all
  select format('%s: %s statements are kept, and the month is not closed', month, statements)
  from department_total d where not exists (select from period_close c where c.month = d.month)
)
select (select count(*) from statement) as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
