#!/usr/bin/env bash
# The browser of the tests under tests/browser, where there is none: from Debian, as root or by a sudo that asks nothing.
#
#   chromium.sh    nothing to do where `chromium` is on the path; otherwise installs chromium and fonts-nanum
#                  (Korean letters for pictures of pages), about 100 MB with what they need
#
# Exit codes: 0 done, 1 failed (the last lines of what apt said are shown), 77 cannot be done on this machine (what to
# install is named).
set -euo pipefail

readonly cannot=77
readonly packages=(chromium fonts-nanum)

say() { printf 'chromium: %s\n' "$*" >&2; }

cannot() {
    say "no chromium here, and $1: install ${packages[*]} to run the tests of pages in a browser"
    exit $cannot
}

command -v chromium >/dev/null && exit 0
command -v apt-get >/dev/null || cannot "this script can only install it with apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || cannot "this is neither root nor may it run sudo without a password"
    as_root=(sudo -n)
fi
say "installing ${packages[*]} from Debian (about a minute)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { timeout "$1" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 "${@:2}"; }
if ! { apt 120 update && apt 300 install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get failed"
    exit 1
fi
command -v chromium >/dev/null || { say "installed, and no chromium is on the path ($PATH)"; exit 1; }
