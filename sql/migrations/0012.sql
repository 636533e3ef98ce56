-- Dated rules by which a vendor's model and meter names mean ours (billing/reconciliation/name_rules.py), tolerances of
-- vendors, and what breaks say beyond class and amount. Rows are added, never changed; of rows of one vendor, text and
-- valid_from the last id counts.

create table vendor_name_rule (
  id integer generated always as identity primary key,
  vendor text not null check (vendor <> ''),
  text text not null check (text <> '' and text = lower(text)),
  model text check (model <> ''),
  unit text check (unit ~ '^[a-z][a-z0-9_]{0,62}$'),
  valid_from date,
  valid_to date,
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now(),
  check (valid_to > valid_from),
  check (model is not null or unit is not null)
);

create trigger refuse_change before update or delete on vendor_name_rule
  for each row execute function refuse_change();
create trigger refuse_truncate before truncate on vendor_name_rule
  for each statement execute function refuse_change();
grant select on vendor_name_rule to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on vendor_name_rule to jangbu_billing;

-- A difference within both (0: not given) is flagged; it is booked and counted all the same.
alter table vendor add column tolerance_amount numeric not null default 0 check (tolerance_amount >= 0);
alter table vendor add column tolerance_share numeric not null default 0
  check (tolerance_share >= 0 and tolerance_share < 1);

alter table reconciliation_break add column tolerated boolean not null default false;
alter table reconciliation_break add column match_level integer not null default 1 check (match_level between 1 and 5);
alter table reconciliation_break add column may_be text[] not null default '{}';
alter table reconciliation_break add column proposal text;
