-- Law 7: a closed statement's content hash never changes. The hash is of the text that is kept; the organisation's
-- statement holds the departments' hashes, the close holds the organisation's, and its chain hash that of the close
-- before it: whoever keeps one chain hash can tell whether anything up to it was touched. Entries are named by their
-- content, and their lines are what it says; a correction names the hash of the statement that it corrects.
-- One row: how many statements, entries and closes were checked, and a sentence for each violation.
with kept as materialized (
  select month, kind, document::jsonb -> 'statements' as listed, document::jsonb -> 'adjustments' as adjustments
  from statement
), chain as (
  select month, number, content_hash, chain_hash, first_hour,
         lag(chain_hash, 1, repeat('0', 64)) over (order by number) as before,
         lag(end_hour) over (order by number) as end_before
  from period_close
), content_line as (
  select e.id, (line ->> 'number')::integer as number, line
  from ledger_entry e cross join lateral jsonb_array_elements(e.content::jsonb -> 'lines') line
), stored_line as (
  select entry_id as id, number,
         jsonb_build_object('number', number, 'account', account, 'department', department, 'amount', amount::text,
                            'currency', currency, 'section', section, 'charge_key', charge_key, 'provider', provider,
                            'model', model, 'unit', unit, 'price_id', price_id, 'quantity', quantity::text,
                            'amount_exact', amount_exact) as line
  from ledger_line
), listed as (
  select s.month, item ->> 'department' as department, item ->> 'content_hash' as content_hash
  from kept s cross join lateral jsonb_array_elements(s.listed) item
  where s.kind = 'organisation'
), corrected as (
  select s.month, item ->> 'origin_period' as origin, item ->> 'content_hash' as content_hash
  from kept s cross join lateral jsonb_array_elements(s.adjustments) item
  where s.kind = 'department' and item ->> 'content_hash' is not null
), violation as (
  select format('statement %s of %s: its content hashes to %s, kept is %s',
                coalesce(department, case kind when 'department' then '(unattributed)' else kind end), month,
                left(encode(sha256(convert_to(document, 'UTF8')), 'hex'), 12), left(content_hash, 12)) as sentence
  from statement where content_hash <> encode(sha256(convert_to(document, 'UTF8')), 'hex')
  union all
  select format('close of %s: it names the hash %s, the organisation''s statement has %s', c.month,
                left(c.content_hash, 12), coalesce(left(s.content_hash, 12), 'nothing'))
  from period_close c left join statement s on s.month = c.month and s.kind = 'organisation'
  where s.content_hash is distinct from c.content_hash
  union all
  select format('close of %s: its chain hash does not follow from the close before it', month)
  from chain where chain_hash <> encode(sha256(convert_to(before || ':' || month || ':' || content_hash, 'UTF8')), 'hex')
  union all
  select format('close of %s: its hours begin before those of the close before it end', month)
  from chain where first_hour < end_before
  union all
  select format('%s, department %s: the organisation''s statement lists the hash %s, kept is %s',
                coalesce(l.month, s.month), coalesce(l.department, s.department, '(unattributed)'),
                coalesce(left(l.content_hash, 12), 'nothing'), coalesce(left(s.content_hash, 12), 'nothing'))
  from listed l
  full join (select * from statement where kind = 'department') s
    on s.month = l.month and coalesce('=' || s.department, '') = coalesce('=' || l.department, '')
  where l.content_hash is distinct from s.content_hash
  union all
  select format('entry %s: its content hashes to %s', left(id, 12),
                left(encode(sha256(convert_to(content, 'UTF8')), 'hex'), 12))
  from ledger_entry where id <> encode(sha256(convert_to(content, 'UTF8')), 'hex')
  union all
  select format('entry %s: month, reason or origin differ from its content', left(id, 12))
  from ledger_entry
  where (month, reason, origin_month, description) is distinct from
        (content::jsonb ->> 'month', content::jsonb ->> 'reason', content::jsonb ->> 'origin_month',
         content::jsonb ->> 'description')
  union all
  select format('entry %s, line %s: its content says %s, the ledger %s', left(coalesce(c.id, s.id), 12),
                coalesce(c.number, s.number), c.line, s.line)
  from content_line c full join stored_line s using (id, number)
  where c.line is distinct from s.line
  union all
  select format('%s: a correction of %s names the hash %s, which no statement of that month has', month, origin,
                left(content_hash, 12))
  from corrected c
  where not exists (select from statement s where s.month = c.origin and s.content_hash = c.content_hash)
)
select (select count(*) from statement) + (select count(*) from ledger_entry) + (select count(*) from period_close)
         as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
