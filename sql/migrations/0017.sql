-- Programmes (pilots) and applications for their places. Who has a place follows from the applications (billing/programmes).
-- Of rows of one programme, or of one (programme, user, applied_at), the last id counts. `ends_on` is the first day after.

alter table register_import drop constraint register_import_register_check;
alter table register_import
  add constraint register_import_register_check
    check (register in ('department', 'budget', 'quota', 'pledge', 'programme', 'programme_application'));

create table programme (
  id integer primary key check (id > 0),
  import_id integer not null references register_import,
  programme text not null check (programme <> ''),
  name text not null check (name <> ''),
  starts_on date not null,
  ends_on date not null check (ends_on > starts_on),
  places integer not null check (places > 0),
  department_codes text[] not null,
  department_numbers integer[] not null check (cardinality(department_numbers) = cardinality(department_codes)),
  budget numeric check (budget >= 0),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  models text[] not null,
  rules_version text not null,
  rules text[] not null
);

create table programme_application (
  id integer primary key check (id > 0),
  import_id integer not null references register_import,
  programme text not null check (programme <> ''),
  "user" text not null check ("user" <> ''),
  department text not null check (department <> ''),
  applied_at timestamptz not null,
  left_at timestamptz check (left_at > applied_at)
);
create index programme_application_programme on programme_application (programme);

do $$
declare table_name text;
begin
  foreach table_name in array array['programme', 'programme_application'] loop
    execute format('create trigger refuse_change before update or delete on %I
                    for each row execute function refuse_change()', table_name);
    execute format('create trigger refuse_truncate before truncate on %I
                    for each statement execute function refuse_change()', table_name);
  end loop;
end $$;

grant select on programme, programme_application to jangbu_billing, jangbu_reader;
grant insert on programme, programme_application to jangbu_billing;
