-- The pledge: who signed which version on which day, and until when it holds (half-open; null: as the settings say). Of
-- rows of one (user, version, day) the last id counts.

alter table register_import drop constraint register_import_register_check;
alter table register_import
  add constraint register_import_register_check check (register in ('department', 'budget', 'quota', 'pledge'));

create table pledge (
  id integer primary key check (id > 0),
  import_id integer not null references register_import,
  "user" text not null check ("user" <> ''),
  version text not null check (version <> ''),
  signed_on date not null,
  expires_on date check (expires_on >= signed_on)
);
create index pledge_user on pledge ("user");
create trigger refuse_change before update or delete on pledge for each row execute function refuse_change();
create trigger refuse_truncate before truncate on pledge for each statement execute function refuse_change();

grant select on pledge to jangbu_billing, jangbu_reader;
grant insert on pledge to jangbu_billing;
