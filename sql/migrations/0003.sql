-- The price book and the exchange rates. Rows are added, never overwritten, by any role: what a later row replaces stays
-- to be read. Money is `numeric`; what is in force is decided on reading (billing/prices.py), by these rules:
--   * among rows of one origin and key (provider, model, unit, service_tier, region, prompt_above) that begin at the
--     same hour, the last id counts; the others are superseded, which is how a row gets an end or a typing error ends;
--   * a row ends at its own valid_to or where the next row of its origin and key begins, whichever is earlier;
--   * an agreed price ('contract') goes before a list price ('list').
-- Ids are given without gaps by the one transaction that imports, so that the same files in the same order give the same
-- ids in an empty database.

create function refuse_change() returns trigger
  language plpgsql as $$
begin
  raise exception 'rows of % are never changed or deleted: add a row that replaces it', tg_table_name
    using errcode = 'restrict_violation';
end $$;

-- Where rows came from: one row for each import that added something.
create table book_import (
  id integer primary key check (id > 0),
  book text not null check (book in ('price', 'fx')),
  origin text not null check (origin in ('list', 'contract', 'rate')),
  name text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  rows_added integer not null check (rows_added >= 0),
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now()
);

-- What one unit costs: `price` of `currency` for `per` units. Validity is half-open in whole UTC hours.
create table price (
  id integer primary key check (id > 0),
  import_id integer not null references book_import,
  origin text not null check (origin in ('list', 'contract')),
  provider text not null check (provider <> ''),
  model text not null check (model <> ''),
  unit text not null check (unit ~ '^[a-z][a-z0-9_]{0,62}$'),
  service_tier text not null check (service_tier in ('standard', 'batch', 'priority', 'flex', '*')),
  region text,
  prompt_above bigint not null default 0 check (prompt_above >= 0),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  price numeric not null check (price >= 0),
  per bigint not null check (per > 0),
  valid_from timestamptz not null check (extract(epoch from valid_from) % 3600 = 0),
  valid_to timestamptz check (extract(epoch from valid_to) % 3600 = 0),
  source text not null check (source <> ''),
  check (valid_to is null or valid_to > valid_from)
);
create index price_model on price (lower(provider), lower(model));

-- Which model of the book a name in an event means: rules in the order in which they are tried, for each provider those of
-- the newest import that brought any. `match` is a clause of billing/models.py; null: ask the rules of `to_provider`.
create table price_rule (
  import_id integer not null references book_import,
  provider text not null,
  place integer not null check (place >= 0),
  match jsonb,
  to_provider text not null,
  to_model text,
  primary key (import_id, provider, place),
  check ((match is null) = (to_model is null))
);

-- `rate` units of `quote` for ONE unit of `base`, as of a day. Of two rows for one day and pair the last id counts.
create table fx_rate (
  id integer primary key check (id > 0),
  import_id integer not null references book_import,
  date date not null,
  base text not null check (base ~ '^[A-Z]{3}$'),
  quote text not null check (quote ~ '^[A-Z]{3}$'),
  rate numeric not null check (rate > 0),
  source text not null check (source <> ''),
  check (base <> quote)
);
create index fx_rate_pair on fx_rate (base, quote, date);

do $$
declare table_name text;
begin
  foreach table_name in array array['book_import', 'price', 'price_rule', 'fx_rate'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

grant select on book_import, price, price_rule, fx_rate to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on book_import, price, price_rule, fx_rate to jangbu_billing;
