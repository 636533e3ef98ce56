-- What is kept of an open month's statements, and how a reader knows that it is still what the inputs come to.
--
-- Computing a month takes seconds, reading its documents milliseconds. So who has computed them keeps them
-- (billing/open_months.py), beside a mark of all that they depend on, and who reads takes them where the mark is still
-- the same in its own snapshot, else computes. Nothing that is booked is ever taken from here: a close computes.

-- That a transaction changed an input of statements, one row a table. Visible exactly when the change is, so that two
-- snapshots that see equally many rows see the same inputs: snapshots of one database see ever more transactions, never
-- others. `began` beside `number`, because numbers of transactions begin anew where a database is restored. Nobody but
-- the trigger writes here, and nobody deletes: a count that fell could rise to an old one again.
create table input_change (
  table_name text not null,
  number bigint not null,
  began timestamptz not null,
  primary key (number, began, table_name)
);

create function note_input_change() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into input_change (table_name, number, began)
    values (tg_table_name, (pg_current_xact_id()::text)::bigint, transaction_timestamp()) on conflict do nothing;
  return null;
end $$;

-- Note every change of a table that statements read. A later table that they read is given to this by its own migration;
-- until then nothing is kept of a month that reads it (billing/open_months.py looks at what was read).
create function watch_input(watched regclass, kinds text default 'insert or update or delete or truncate') returns void
  language plpgsql as $$
begin
  execute format('create trigger note_input_change after %s on %s
                  for each statement execute function note_input_change()', kinds, watched);
end $$;
revoke execute on function watch_input(regclass, text) from public;

select watch_input(one::regclass) from unnest(array[
  'roster', 'reference_version', 'prompt_threshold', 'book_import', 'price', 'price_rule', 'fx_rate',
  'vendor', 'vendor_name_rule', 'invoice_content', 'invoice_import', 'invoice_day', 'invoice_line',
  'reconciliation', 'reconciliation_break', 'break_decision', 'quarantine_decision',
  'period_close', 'period_state', 'ledger_entry', 'ledger_line', 'statement',
  'department', 'contract_import', 'contract_term', 'contract_tier', 'allocation_rule']) one;
-- A record that is newly quarantined is no usage; a copy that is taken out comes with parts.
select watch_input('quarantine', 'update or delete or truncate');

-- The mark of a month's kept documents. `depends_on`: a hash of the code, the organisation's choices, the month's hours
-- and the number of changed inputs. The rest says which transactions' parts were seen, as usage_roll_mark does.
create table open_month (
  month text primary key check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  depends_on text not null,
  cluster bigint not null,
  lowest bigint not null,
  next_number bigint not null,
  running bigint[] not null,
  computed_at timestamptz not null default now()
);

-- The documents as `statement show` prints them.
create table open_statement (
  month text not null,
  kind text not null check (kind in ('department', 'organisation')),
  department text,
  document text not null
);
create unique index open_statement_key on open_statement (month, kind, department) nulls not distinct;

grant select on input_change, open_month, open_statement to jangbu_billing, jangbu_reader;
grant insert, update, delete on open_month, open_statement to jangbu_billing;
