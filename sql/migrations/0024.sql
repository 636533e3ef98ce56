-- Views that people keep: an address of the usage page under a name, for oneself or for everybody who may see the page.
-- The address says what is asked, never what was found: who opens it sees what they may see.
create table usage_view (
  id bigint generated always as identity primary key,
  name text not null check (name ~ '^\S(.{0,118}\S)?$'),
  query text not null check (length(query) <= 2000),
  owner text not null check (owner <> ''),
  is_shared boolean not null default false,
  made_at timestamptz not null default now(),
  unique (owner, name)
);
create index usage_view_shared on usage_view (is_shared) where is_shared;
grant select on usage_view to jangbu_reader;
grant select, insert, update, delete on usage_view to jangbu_billing;
