-- Law 3 on what is booked: every charge in the ledger, and the total of every kept statement, is within one step of its
-- exact value and a whole number of steps. (Of open months, and that exact parts add up, `billing.laws` says it.)
-- One row: how many figures were checked, and a sentence for each violation. Exact values are decimals or quotients; both
-- sides are multiplied by the denominator, so that nothing is rounded here. The digits of currencies are ISO 4217's.
with step as (
  select month,
         trim_scale((policy ->> 'rounding_step')::numeric * power(10::numeric, -case
           when policy ->> 'currency' in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI',
                                          'VND', 'VUV', 'XAF', 'XOF', 'XPF') then 0
           when policy ->> 'currency' in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
           when policy ->> 'currency' in ('CLF', 'UYW') then 4
           else 2 end)) as step
  from period_close
), figure as (
  select e.month, format('%s, department %s, %s %s', e.month, coalesce(l.department, '(unattributed)'), l.section,
                         coalesce(l.model || ' ' || l.unit, l.charge_key::text)) as name, l.amount, l.amount_exact
  from ledger_entry e join ledger_line l on l.entry_id = e.id
  where l.account = 'cost'
  union all
  select month, format('%s, %s', month, case when kind = 'organisation' then 'organisation'
                                             else 'department ' || coalesce(department, '(unattributed)') end),
         total, document::jsonb ->> 'total_exact'
  from statement
), parsed as (
  select f.name, f.amount, f.amount_exact, s.step, split_part(f.amount_exact, '/', 1)::numeric as numerator,
         coalesce(nullif(split_part(f.amount_exact, '/', 2), ''), '1')::numeric as denominator
  from figure f left join step s on s.month = f.month
), violation as (
  select format('%s: booked %s for exactly %s, which is not within %s of it', name, amount, amount_exact, step) as sentence
  from parsed
  where (abs(numerator - amount * denominator) < step * denominator and mod(amount, step) = 0) is not true
)
select (select count(*) from figure) as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
