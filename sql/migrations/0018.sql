-- People who sign in to the pages: accounts, sessions, tokens, and what they did (jangbu/web/signin/).
-- No secret stands here: of sessions, tokens, first links and flows only SHA-256, of passwords argon2id. The reader's
-- login, which may belong to a BI tool, sees what was done (web_event) and nothing else.

create function web_roles_are_known(roles text[]) returns boolean
  language sql immutable
  return roles <@ array['finance', 'head', 'platform', 'auditor', 'employee'];

-- A local account. `name` is what is typed, in its folded spelling; "user" is the id that usage events carry.
create table web_account (
  name text primary key check (name ~ '^\S{1,128}$'),
  display_name text not null check (display_name <> ''),
  "user" text check ("user" <> ''),
  roles text[] not null check (cardinality(roles) > 0 and web_roles_are_known(roles)),
  departments text[] not null default '{}',
  password_hash text not null check (password_hash like '$argon2id$%'),
  disabled boolean not null default false,
  made_by text not null,
  made_at timestamptz not null default now()
);

-- A signed-in browser. What came from a provider or a proxy stays as it was told then; an account's is read anew.
create table web_session (
  id_hash bytea primary key check (length(id_hash) = 32),
  way text not null check (way in ('account', 'oidc', 'header')),
  account text references web_account,
  identity text not null check (identity like 'web:_%'),
  name text not null,
  "user" text,
  roles text[] not null check (web_roles_are_known(roles)),
  departments text[] not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  check ((way = 'account') = (account is not null))
);
create index web_session_identity on web_session (identity);
create index web_session_started on web_session (started_at);

-- A program's token. Tokens stay when they are revoked, so that token:NAME means one thing for ever.
create table web_token (
  name text primary key check (name ~ '^\S{1,128}$'),
  token_hash bytea not null unique check (length(token_hash) = 32),
  "user" text check ("user" <> ''),
  roles text[] not null check (cardinality(roles) > 0 and web_roles_are_known(roles)),
  departments text[] not null default '{}',
  read_only boolean not null,
  made_by text not null,
  made_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);

-- Attempts to sign in that count against a limit; old ones are deleted (jangbu/web/signin/attempts.py).
create table web_attempt (
  id bigint generated always as identity primary key,
  key text not null,
  at timestamptz not null default now()
);
create index web_attempt_key on web_attempt (key, at);
create index web_attempt_at on web_attempt (at);

-- Links for one use: 'first' makes the first account; 'flow' is a sign-in at a provider that is under way.
create table web_once (
  token_hash bytea primary key check (length(token_hash) = 32),
  kind text not null check (kind in ('first', 'flow')),
  detail jsonb not null default '{}',
  made_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index web_once_expires on web_once (expires_at);

-- Who did what when. Rows are only added.
create table web_event (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null check (actor <> ''),
  action text not null check (action ~ '^[a-z_]+$'),
  subject text not null,
  detail jsonb not null default '{}',
  address text,
  database_login text not null default session_user
);
create index web_event_at on web_event (at);
create trigger refuse_change before update or delete on web_event for each row execute function refuse_change();
create trigger refuse_truncate before truncate on web_event for each statement execute function refuse_change();

grant select on web_event to jangbu_billing, jangbu_reader;
grant insert on web_event to jangbu_billing;
grant select, insert, update on web_account, web_token to jangbu_billing;
grant select, insert, update, delete on web_session to jangbu_billing;
grant select, insert, delete on web_attempt, web_once to jangbu_billing;
