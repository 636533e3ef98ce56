#!/bin/bash
# First start: a cluster with POSTGRES_USER as superuser and a database POSTGRES_DB, then the files of
# /docker-entrypoint-initdb.d in the order of their names (*.sh run or sourced, *.sql by psql), while the server
# listens on its socket only. Every start: the server, as user postgres. The settings bear the public image's names.
set -euo pipefail

[ "${1:-postgres}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

export POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
socket=/var/run/postgresql

# Over the socket and as the superuser; local connections are trusted until the server proper starts.
as_superuser() { psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet -h "$socket" -U "$POSTGRES_USER" -d "$POSTGRES_DB" "$@"; }

run_first_start_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else source "$file"; fi ;;
            *.sql) as_superuser -f "$file" ;;
        esac
    done
}

make_cluster() {
    local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
        echo "POSTGRES_PASSWORD is not set: give the superuser a password" >&2
        exit 1
    fi
    mkdir -p "$PGDATA"
    # shellcheck disable=SC2086  # POSTGRES_INITDB_ARGS is a list
    initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") \
        --auth-local=trust --set listen_addresses='*' --set unix_socket_directories="$socket,/tmp" \
        ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all $method" >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    if [ "$POSTGRES_DB" != postgres ]; then
        psql -v ON_ERROR_STOP=1 --quiet -h "$socket" -U "$POSTGRES_USER" -d postgres \
            -v name="$POSTGRES_DB" <<<'create database :"name"'
    fi
    export PGHOST=$socket PGUSER=$POSTGRES_USER
    run_first_start_files
    unset PGHOST PGUSER
    pg_ctl -D "$PGDATA" -m fast -w stop
}

[ -s "$PGDATA/PG_VERSION" ] || make_cluster
exec "$@"
