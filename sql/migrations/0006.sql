-- Departments and budgets: two registers that people bring. Rows are added, never overwritten, by any role; what is in
-- force is decided on reading (billing/plans/), by these rules:
--   * of rows of one department that begin at the same moment the last id counts; a row ends at its own valid_to or where
--     the department's next row begins, whichever is earlier. A merged department ends; its people move in the roster;
--   * of rows of one department and period the last id counts as its budget.
-- Ids are given without gaps by the one transaction that imports, as for prices.

-- Where rows came from: one row for each import that added something.
create table register_import (
  id integer primary key check (id > 0),
  register text not null check (register in ('department', 'budget')),
  name text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  rows_added integer not null check (rows_added > 0),
  actor text not null,
  database_login text not null default session_user,
  imported_at timestamptz not null default now()
);

-- What a department is, half-open in whole UTC hours (days of a zone are that). `parent` is another department;
-- `notify` says who hears of warnings; programme and budget item are what a local government's journal names
-- (세부사업, 통계목). `organisation` is the word for all departments together and no code.
create table department (
  id integer primary key check (id > 0),
  import_id integer not null references register_import,
  department text not null check (department not in ('', 'organisation')),
  name text not null check (name <> ''),
  parent text check (parent not in ('', department)),
  cost_centre text,
  head_user text,
  deputy_user text,
  notify text,
  programme text,
  budget_item text,
  valid_from timestamptz not null check (extract(epoch from valid_from) % 3600 = 0),
  valid_to timestamptz check (extract(epoch from valid_to) % 3600 = 0),
  check (valid_to is null or valid_to > valid_from)
);
create index department_code on department (department);

-- What a department may spend in a month (2026-10) or a year (2026); null: the organisation as a whole.
create table budget (
  id integer primary key check (id > 0),
  import_id integer not null references register_import,
  department text check (department not in ('', 'organisation')),
  period text not null check (period ~ '^[0-9]{4}(-(0[1-9]|1[0-2]))?$'),
  amount numeric not null check (amount >= 0),
  currency text not null check (currency ~ '^[A-Z]{3}$')
);

do $$
declare table_name text;
begin
  foreach table_name in array array['register_import', 'department', 'budget'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

grant select on register_import, department, budget to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on register_import, department, budget to jangbu_billing;
