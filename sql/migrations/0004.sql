-- Vendors, their invoices and what reconciliation found. Rows are added, never changed or deleted, by any role; the one
-- exception is invoice_day.superseded_by, which is set once. Amounts are `numeric`, exactly as the vendor wrote them.

-- Who bills us, for whose models, in which zone and currency. Of two rows of one vendor that begin on the same day the
-- last id counts.
create table vendor (
  id integer generated always as identity primary key,
  vendor text not null check (vendor <> ''),
  creditor text not null check (creditor <> ''),
  providers text[] not null check (cardinality(providers) > 0),
  accounts text[] not null,
  zone text not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  tax_mode text not null check (tax_mode in ('none', 'vendor_charged', 'reverse_charge', 'domestic_invoice')),
  tax_rate numeric not null check (tax_rate >= 0 and tax_rate < 1),
  fx_policy text not null check (fx_policy in ('usage_day', 'month_average', 'invoice_date', 'payment_date')),
  settle_days integer not null check (settle_days between 0 and 366),
  valid_from date,
  valid_to date,
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now(),
  check (valid_to > valid_from)
);

-- The bytes of a file, once, addressed by what they are: zstd, SHA-256 of the bytes before compression.
create table invoice_content (
  sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
  bytes bigint not null check (bytes > 0),
  zstd bytea not null
);

-- One file imported once. `delivery` joins the files of one command.
create table invoice_import (
  id integer primary key check (id > 0),
  delivery integer not null,
  vendor text not null check (vendor <> ''),
  format text not null,
  kind text not null check (kind in ('cost', 'usage')),
  sha256 text not null references invoice_content,
  file_name text not null,
  recognised_by text not null,
  zone text not null,
  stated_total numeric,
  lines integer not null check (lines >= 0),
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now()
);
create index invoice_import_content on invoice_import (sha256);

-- The vendor days that an import speaks about. A day is covered by the imports that no later one superseded.
create table invoice_day (
  import_id integer not null references invoice_import,
  day date not null,
  superseded_by integer references invoice_import,
  primary key (import_id, day),
  check (superseded_by > import_id)
);
create index invoice_day_day on invoice_day (day);

-- One line as it stood in the file (`place`), in our words and in the vendor's own (`item`). A line of kind `quantity`
-- has no amount, every other has one.
create table invoice_line (
  import_id integer not null,
  number integer not null check (number > 0),
  place text not null,
  day date not null,
  kind text not null check (kind in ('usage', 'total', 'tax', 'credit', 'fee', 'quantity')),
  item text,
  account text,
  model text,
  unit text,
  service_tier text,
  quantity numeric,
  quantity_step numeric check (quantity_step > 0),
  amount numeric,
  currency text check (currency ~ '^[A-Z]{3}$'),
  primary key (import_id, number),
  foreign key (import_id, day) references invoice_day deferrable initially deferred,
  check ((kind = 'quantity') = (amount is null)),
  check ((amount is null) = (currency is null))
);
create index invoice_line_day on invoice_line (import_id, day);

-- The lines that count: of days that nothing superseded.
create view invoice_line_current as
  select i.vendor, i.kind as file_kind, i.format, l.*
  from invoice_line l
  join invoice_day d on d.import_id = l.import_id and d.day = l.day and d.superseded_by is null
  join invoice_import i on i.id = l.import_id;

-- One run of the reconciliation for a vendor's month and one currency. `last_import_id` says what it could see.
create table reconciliation (
  id integer generated always as identity primary key,
  vendor text not null,
  month text not null check (month ~ '^[0-9]{4}-[0-9]{2}$'),
  first_day date not null,
  end_day date not null check (end_day > first_day),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  last_import_id integer not null,
  invoice_total numeric not null,
  ours_total numeric not null,
  stated_total numeric,
  matched_groups integer not null check (matched_groups >= 0),
  matched_amount numeric not null,
  content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  actor text not null,
  database_login text not null default session_user,
  run_at timestamptz not null default now()
);
create index reconciliation_month on reconciliation (vendor, month, currency);

create table reconciliation_break (
  reconciliation_id integer not null references reconciliation,
  place integer not null check (place > 0),
  class text not null check (class in ('TAX', 'CREDIT_OR_DISCOUNT', 'FEE', 'DUPLICATE', 'UNKNOWN_MODEL', 'PERIOD_EDGE',
                                       'BYPASS', 'NOT_BILLED', 'UNIT_SCALE', 'UNIT_CLASS', 'ROUNDING', 'QUANTITY',
                                       'PRICE', 'FX', 'UNEXPLAINED')),
  amount numeric not null,
  key jsonb not null,
  ours jsonb,
  vendor jsonb,
  why text not null check (why <> ''),
  provisional boolean not null,
  primary key (reconciliation_id, place)
);

do $$
declare table_name text;
begin
  foreach table_name in array array['vendor', 'invoice_content', 'invoice_import', 'invoice_line', 'reconciliation',
                                    'reconciliation_break'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
  end loop;
  foreach table_name in array array['vendor', 'invoice_content', 'invoice_import', 'invoice_day', 'invoice_line',
                                    'reconciliation', 'reconciliation_break'] loop
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

-- A covered day may be superseded, once; nothing else of it changes.
create trigger refuse_change before delete on invoice_day for each row execute function refuse_change();
create trigger refuse_second before update on invoice_day for each row
  when (old.superseded_by is not null or (old.import_id, old.day) is distinct from (new.import_id, new.day))
  execute function refuse_change();

grant select on vendor, invoice_content, invoice_import, invoice_day, invoice_line, invoice_line_current,
                reconciliation, reconciliation_break to jangbu_billing, jangbu_reader;
grant insert on vendor, invoice_content, invoice_import, invoice_day, invoice_line, reconciliation,
                reconciliation_break to jangbu_billing;
grant update (superseded_by) on invoice_day to jangbu_billing;
