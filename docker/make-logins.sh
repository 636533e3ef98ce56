#!/bin/sh
# Runs once, when PostgreSQL's data directory is made: the database `jangbu` with its owner, who migrates and may do
# anything in it, and the three logins of the roles with least rights. The roles themselves have no login and get
# their rights from the migrations; they are made here, so that a login can be a member before the first migration.
# No login of ours is a superuser. Passwords come from the environment (see .env.example).
set -eu

for name in OWNER WORKER BILLING READER; do
    eval "value=\${DB_PASSWORD_$name:-}"
    [ -n "$value" ] || { echo "DB_PASSWORD_$name is not set: every login needs a password" >&2; exit 1; }
done

psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet -U "$POSTGRES_USER" -d postgres \
    -v owner="$DB_PASSWORD_OWNER" -v worker="$DB_PASSWORD_WORKER" \
    -v billing="$DB_PASSWORD_BILLING" -v reader="$DB_PASSWORD_READER" <<'SQL'
create role jangbu_owner login password :'owner';
create role jangbu_worker nologin;
create role jangbu_billing nologin;
create role jangbu_reader nologin;
create role jangbu_worker_login login in role jangbu_worker password :'worker';
create role jangbu_billing_login login in role jangbu_billing password :'billing';
create role jangbu_reader_login login in role jangbu_reader password :'reader';
create database jangbu owner jangbu_owner;
revoke all on database jangbu from public;
grant connect, temporary on database jangbu to jangbu_worker, jangbu_billing, jangbu_reader;
SQL
