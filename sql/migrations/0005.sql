-- Periods, the ledger and closed statements. Rows are added, never changed or deleted, by any role, the owner included:
-- triggers refuse it, even where no row would be hit. Amounts are `numeric` in the organisation's currency, debit
-- positive, credit negative. One transaction closes a month (billing/ledger/close.py): entries and statements first,
-- then the row of period_close, after which nothing can be added to the month.

-- A month that was closed: its hours (half-open, UTC), the choices that held, how far each partition had been read
-- (`cut_offs`: [{"log", "partition", "next_offset"}]), the last rows of recorded inputs (`inputs`: table -> count or id),
-- what of each month was seen (`seen`: month -> counts, see billing/ledger/marks.py), what was accepted by name, and
-- the hash of the organisation's statement. `chain_hash` is SHA-256 over 'CHAIN_HASH OF THE CLOSE BEFORE:MONTH:HASH', so
-- that one hash that somebody keeps vouches for every month before it.
create table period_close (
  month text primary key check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  number integer not null unique check (number > 0),
  first_hour integer not null,
  end_hour integer not null check (end_hour > first_hour),
  policy jsonb not null,
  cut_offs jsonb not null,
  inputs jsonb not null,
  seen jsonb not null,
  accepted jsonb not null,
  computed_from text not null check (computed_from in ('sums', 'events')),
  content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  chain_hash text not null check (chain_hash ~ '^[0-9a-f]{64}$'),
  actor text not null,
  database_login text not null default session_user,
  closed_at timestamptz not null default now()
);

-- The states that a month has passed through; none recorded: open. Each once, in this order, never back.
create table period_state (
  month text not null check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  place integer not null check (place between 1 and 4),
  state text not null check (state = (array['open', 'grace', 'reconciled', 'closed'])[place]),
  actor text not null,
  database_login text not null default session_user,
  since timestamptz not null default now(),
  primary key (month, place)
);

-- One event of bookkeeping. `id` is SHA-256, in hex, of `content`: canonical JSON of everything that it says, its lines
-- included, without who and when, so that a replay gives the same ids. `month` is where it is booked, `origin_month`
-- what it is about: another than `month` for a correction.
create table ledger_entry (
  id text primary key check (id = encode(sha256(convert_to(content, 'UTF8')), 'hex')),
  month text not null references period_close deferrable initially deferred,
  reason text not null check (reason ~ '^[A-Z][A-Z_]*$'),
  origin_month text not null check (origin_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$' and origin_month <= month),
  description text not null check (description <> ''),
  content text not null,
  actor text not null,
  database_login text not null default session_user,
  booked_at timestamptz not null default now()
);
create index ledger_entry_month on ledger_entry (month);
create index ledger_entry_origin on ledger_entry (origin_month);

-- One side of an entry. A charge (a line on account 'cost') says what for: `section` of the statement, and for use
-- provider, model, unit, price row and quantity, else `charge_key`. `amount_exact` is its value before rounding, as a
-- decimal or as numerator/denominator; corrections are taken from these, so that nothing is lost by rounding.
create table ledger_line (
  entry_id text not null references ledger_entry,
  number integer not null check (number > 0),
  account text not null check (account <> ''),
  department text,
  amount numeric not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  section text check (section in ('lines', 'allocated', 'adjustments', 'tax')),
  charge_key jsonb,
  provider text,
  model text,
  unit text,
  price_id bigint,
  quantity numeric,
  amount_exact text check (amount_exact ~ '^-?[0-9]+(\.[0-9]+|/[0-9]+)?$'),
  primary key (entry_id, number),
  check ((account = 'cost') = (section is not null)),
  check ((section is not null) = (amount_exact is not null))
);
create index ledger_line_department on ledger_line (department) where account = 'cost';

-- A closed month's statements: `document` is the canonical JSON that `content_hash` is the SHA-256 of. One row a
-- department, `department` null for use that nobody is known for; kind 'organisation' once.
create table statement (
  month text not null references period_close deferrable initially deferred,
  kind text not null check (kind in ('department', 'organisation')),
  department text check (kind = 'department' or department is null),
  department_name text,
  document text not null,
  content_hash text not null check (content_hash = encode(sha256(convert_to(document, 'UTF8')), 'hex')),
  total numeric not null,
  unique nulls not distinct (month, kind, department)
);

-- Debits = credits for each entry and currency, when the transaction commits.
create function refuse_unbalanced() returns trigger
  language plpgsql as $$
declare found record;
begin
  select currency, sum(amount) as difference into found
    from ledger_line where entry_id = new.entry_id group by currency having sum(amount) <> 0 limit 1;
  if found is not null then
    raise exception 'ledger entry % does not balance: its lines in % add up to %, not 0', new.entry_id, found.currency,
      found.difference using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger refuse_unbalanced after insert on ledger_line deferrable initially deferred
  for each row execute function refuse_unbalanced();

create function refuse_empty() returns trigger
  language plpgsql as $$
begin
  if not exists (select from ledger_line where entry_id = new.id) then
    raise exception 'ledger entry % has no lines', new.id using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger refuse_empty after insert on ledger_entry deferrable initially deferred
  for each row execute function refuse_empty();

-- Nothing is added to a closed month. The row of period_close comes last in the transaction that closes.
create function refuse_closed() returns trigger
  language plpgsql as $$
declare closed_month text;
begin
  if tg_table_name = 'ledger_line' then
    select c.month into closed_month from new_row n join ledger_entry e on e.id = n.entry_id
      join period_close c on c.month = e.month limit 1;
  else
    select c.month into closed_month from new_row n join period_close c on c.month = n.month limit 1;
  end if;
  if closed_month is not null then
    raise exception 'period % is closed: book into the earliest open period', closed_month
      using errcode = 'restrict_violation';
  end if;
  return null;
end $$;

-- Months close one after the other, states follow each other.
create function refuse_out_of_order() returns trigger
  language plpgsql as $$
begin
  if tg_table_name = 'period_close' then
    if new.number <> (select coalesce(max(number), 0) + 1 from period_close)
       or exists (select from period_close where month >= new.month or end_hour > new.first_hour) then
      raise exception 'period % cannot close after a later one: periods close in order', new.month
        using errcode = 'restrict_violation';
    end if;
  elsif new.place <> (select coalesce(max(place), 0) + 1 from period_state where month = new.month) then
    raise exception 'period % cannot be % now: its states follow open, grace, reconciled, closed', new.month, new.state
      using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger refuse_out_of_order before insert on period_close for each row execute function refuse_out_of_order();
create trigger refuse_out_of_order before insert on period_state for each row execute function refuse_out_of_order();

do $$
declare table_name text;
begin
  foreach table_name in array array['period_close', 'period_state', 'ledger_entry', 'ledger_line', 'statement'] loop
    execute format('create trigger refuse_change before update or delete or truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
  foreach table_name in array array['ledger_entry', 'ledger_line', 'statement'] loop
    execute format('create trigger refuse_closed after insert on %I referencing new table as new_row
                    for each statement execute function refuse_closed()', table_name);
  end loop;
end $$;

-- Workers wait until the caller's transaction ends: none is within a chunk then, none begins one. Held while copies are
-- taken out and until the snapshot of a close has been taken, so that it is of one state without copies.
create function hold_workers() returns void
  language plpgsql security definer set search_path = public as $$
begin
  lock table stream_offset in exclusive mode;
end $$;
revoke execute on function hold_workers() from public;
grant execute on function hold_workers() to jangbu_billing;

grant select on period_close, period_state, ledger_entry, ledger_line, statement to jangbu_billing, jangbu_reader;
grant insert on period_close, period_state, ledger_entry, ledger_line, statement to jangbu_billing;
