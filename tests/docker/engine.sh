#!/usr/bin/env bash
# A Docker Engine for the tests marked `docker`, on a machine that has none.
#
#   engine.sh start    nothing to do where `docker info` answers; otherwise installs what is missing from Debian
#                      (docker.io, debootstrap, docker-compose) and starts dockerd
#   engine.sh stop     stops the dockerd that `start` started, and no other
#   engine.sh status   0 when an engine answers
#
# Exit codes: 0 done, 1 failed (the last lines of the log are shown), 2 usage, 77 cannot be done on this machine
# (not root, or no apt: what is missing is named; a user with Docker installed never needs this script).
# DOCKER_TEST_DIR (default /tmp/jangbu-docker) holds dockerd's data, process id and log.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # where dockerd and debootstrap are; not on the path of every user

readonly cannot=77
readonly start_s_max=60
readonly stop_s_max=30
directory=${DOCKER_TEST_DIR:-/tmp/jangbu-docker}
pid_file=$directory/dockerd.pid
log_file=$directory/dockerd.log

say() { printf 'engine: %s\n' "$*" >&2; }

# The client has a time limit of its own: an engine that hangs is no engine.
answers() { command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1; }

# Debian packages that bring the commands which are not here yet, one a line.
missing_packages() {
    command -v dockerd >/dev/null || echo docker.io
    command -v docker >/dev/null || echo docker.io
    command -v iptables >/dev/null || echo iptables
    command -v debootstrap >/dev/null || echo debootstrap
    { command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1; } || echo docker-compose
}

install_missing() {
    local packages
    packages=$(missing_packages | sort -u | tr '\n' ' ')
    [ -z "${packages// /}" ] && return
    if [ "$(id -u)" -ne 0 ]; then
        say "no running engine, and missing here: $packages- install them or run this script as root"
        exit $cannot
    fi
    if ! command -v apt-get >/dev/null; then
        say "no running engine, and missing here: $packages- this script can only install them with apt-get"
        exit $cannot
    fi
    mkdir -p "$directory"
    say "installing $packages"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # the list is split on purpose
    if ! { timeout 120 apt-get -o DPkg::Lock::Timeout=60 update &&
        timeout 240 apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends $packages; } \
        >"$directory/apt.log" 2>&1; then
        tail -n 20 "$directory/apt.log" >&2
        say "apt-get failed; all it said is in $directory/apt.log"
        exit 1
    fi
}

# The process id that `start` wrote, if it still is a dockerd: ids are used again after a reboot.
running_pid() {
    local pid
    pid=$(cat "$pid_file" 2>/dev/null) || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && echo "$pid"
}

# Tests that were killed leave containers that start again with the engine. This one has just been started, so that no
# test uses it yet: whatever bears the tests' name is left over.
remove_leftovers() {
    local kind left
    for kind in container network volume; do
        left=$(docker "$kind" ls -q $([ "$kind" != container ] || echo --all) --filter name=jangbu-test-)
        [ -n "$left" ] || continue
        # shellcheck disable=SC2086  # ids and names without blanks, split on purpose
        docker "$kind" rm $([ "$kind" = network ] || echo --force) $left >/dev/null && say "removed what killed tests left: $kind"
    done
}

start() {
    if answers; then say "an engine answers already"; return; fi
    install_missing
    if answers; then say "an engine answers: the package started it"; return; fi
    if [ "$(id -u)" -ne 0 ]; then
        say "no running engine, and only root can start dockerd: start Docker, or run this script as root"
        exit $cannot
    fi
    mkdir -p "$directory/data"
    running_pid >/dev/null || rm -f "$pid_file"
    setsid dockerd --data-root "$directory/data" --pidfile "$pid_file" >"$log_file" 2>&1 </dev/null &
    local waited_s=0
    until answers; do
        if [ "$waited_s" -ge $start_s_max ] || ! kill -0 $! 2>/dev/null; then
            tail -n 20 "$log_file" >&2
            say "dockerd gave no answer within ${waited_s} s; its log is $log_file"
            exit 1
        fi
        sleep 1
        waited_s=$((waited_s + 1))
    done
    say "dockerd is up, process $(cat "$pid_file"), data in $directory/data"
    remove_leftovers
}

stop() {
    local pid waited_s=0
    if ! pid=$(running_pid); then say "no dockerd of ours is running"; return; fi
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$waited_s" -ge $stop_s_max ]; then
            say "process $pid did not end within ${stop_s_max} s of SIGTERM; look into $log_file"
            exit 1
        fi
        sleep 1
        waited_s=$((waited_s + 1))
    done
    rm -f "$pid_file"
    say "dockerd has stopped"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    status) answers ;;
    *) say "usage: $0 start|stop|status"; exit 2 ;;
esac
