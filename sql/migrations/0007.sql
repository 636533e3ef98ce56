-- Contract terms beside prices: discounts, volume tiers, minimum fees, commitments (billing/terms/). Rows are added, never
-- overwritten. Terms of one name follow each other in time: a term ends at its own valid_to or where the next of its name
-- begins, whichever is earlier; of terms of one name that begin at the same hour the last id counts.
-- Ids are given without gaps by the one transaction that imports, as those of prices are (0003).

create table contract_import (
  id integer primary key check (id > 0),
  name text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  terms_added integer not null check (terms_added > 0),
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now()
);

-- One term as of one file. What it is about: `provider`, `model` (a name, a prefix with * at its end, or * for all),
-- `unit` (null: all; 'tokens': all units of tokens) and `origin` of the prices (null: both). `percent` is a discount's;
-- `amount` of `currency` a minimum fee's (each month) or a commitment's (for its whole validity).
create table contract_term (
  id integer primary key check (id > 0),
  import_id integer not null references contract_import,
  name text not null check (name <> ''),
  kind text not null check (kind in ('discount', 'graduated_tier', 'whole_tier', 'minimum_fee', 'commitment')),
  provider text not null check (provider <> ''),
  model text not null check (model <> ''),
  unit text check (unit ~ '^[a-z][a-z0-9_]{0,62}$'),
  origin text check (origin in ('list', 'contract')),
  currency text check (currency ~ '^[A-Z]{3}$'),
  percent numeric check (percent > 0 and percent <= 100),
  amount numeric check (amount > 0),
  valid_from timestamptz not null check (extract(epoch from valid_from) % 3600 = 0),
  valid_to timestamptz check (extract(epoch from valid_to) % 3600 = 0),
  source text not null check (source <> ''),
  check (valid_to is null or valid_to > valid_from),
  check ((kind = 'discount') = (percent is not null)),
  check ((kind in ('minimum_fee', 'commitment')) = (amount is not null)),
  check (amount is null or currency is not null),
  check (kind not in ('graduated_tier', 'whole_tier') or unit is not null),
  check (kind <> 'commitment' or valid_to is not null)
);

-- The tiers of a term: what holds for a month's quantity above `above`. Either a percentage off the price that would have
-- held, or a price of the term's currency for `per` units.
create table contract_tier (
  term_id integer not null references contract_term,
  above bigint not null check (above >= 0),
  percent numeric check (percent >= 0 and percent <= 100),
  price numeric check (price >= 0),
  per bigint check (per > 0),
  primary key (term_id, above),
  check ((percent is null) = (price is not null)),
  check ((price is null) = (per is null))
);

do $$
declare table_name text;
begin
  foreach table_name in array array['contract_import', 'contract_term', 'contract_tier'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

grant select on contract_import, contract_term, contract_tier to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on contract_import, contract_term, contract_tier to jangbu_billing;
