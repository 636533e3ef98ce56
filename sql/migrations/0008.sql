-- Shared costs: the rules by which they are allocated; and what the vendor register must say for tax and exchange.

-- Whether a vendor's tax is added to its prices or included in them. `fx_policy` is empty where the organisation's holds;
-- `fx_day` is the day of the month after that the vendor's invoice carries, null for the last day of its month.
alter table vendor drop constraint vendor_fx_policy_check;
alter table vendor
  add constraint vendor_fx_policy_check
    check (fx_policy in ('', 'usage_day', 'month_fixed', 'month_average', 'invoice_date', 'payment_date')),
  add column tax_in_price text not null default 'added' check (tax_in_price in ('added', 'included')),
  add column fx_day smallint check (fx_day between 1 and 31);

-- A named rule from a month on: what is shared (`pool`, of `pool_of`: a vendor, or a pool of contract terms), in which
-- measure (`basis`, of `basis_of`: one vendor's use only), among which departments (none named: all). Rows are added,
-- never overwritten. What is in force is decided on reading (billing/allocation/rules.py), by these rules:
--   * of two rows of one rule that begin with the same month the last id counts;
--   * a row holds from `valid_from` until its own `valid_to` or the month with which the rule's next row begins, whichever
--     is earlier; both are months 'YYYY-MM' of the organisation, half-open;
--   * a row with the pool 'none' ends its rule.
-- Ids are given without gaps by the one transaction that imports.
create table allocation_rule (
  id integer primary key check (id > 0),
  rule text not null check (rule <> ''),
  pool text not null check (pool in ('none', 'fixed', 'term', 'invoice_tax', 'invoice_fee', 'invoice_credit',
                                     'invoice_difference', 'unattributed')),
  pool_of text check (pool_of <> ''),
  amount numeric,
  currency text check (currency ~ '^[A-Z]{3}$'),
  basis text not null check (basis in ('', 'tokens', 'cost', 'users', 'headcount', 'shares')),
  basis_of text check (basis_of <> ''),
  departments text[] not null,
  shares jsonb,
  valid_from text not null check (valid_from ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  valid_to text check (valid_to ~ '^[0-9]{4}-(0[1-9]|1[0-2])$' and valid_to > valid_from),
  source text not null check (source <> ''),
  file_name text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now(),
  check ((pool = 'fixed') = (amount is not null)),
  check ((amount is null) = (currency is null)),
  check ((basis = 'shares') = (shares is not null)),
  check ((pool = 'none') = (basis = '')),
  check (pool not like 'invoice%' or pool_of is not null)
);
create index allocation_rule_name on allocation_rule (rule, valid_from);

create trigger refuse_change before update or delete on allocation_rule
  for each row execute function refuse_change();
create trigger refuse_truncate before truncate on allocation_rule
  for each statement execute function refuse_change();

grant select on allocation_rule to jangbu_billing, jangbu_reader;
grant insert on allocation_rule to jangbu_billing;
