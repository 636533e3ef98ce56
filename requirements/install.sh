#!/usr/bin/env bash
# requirements/install.sh VENV FILE [UV]: the packages that FILE pins, every file checked by its hash, into VENV.
#
# UV is the faster installer (requirements/installer.txt). It reads pip's index, not pip's other settings: where it
# fails, pip does the same, and what it says is what counts. Nothing is compiled: Python does that when a module is first
# used, and doing it here for everything takes as long as the rest.
set -euo pipefail

readonly venv=$1 file=$2 uv=${3:-$1/bin/uv}

index=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
index=${PIP_INDEX_URL:-$index}
if [ -x "$uv" ] && "$uv" pip install --quiet --system-certs ${index:+--default-index "$index"} \
    --python "$venv/bin/python" --require-hashes -r "$file"; then
    exit 0
fi
echo "install: the fast installer could not; pip installs $(grep -c '==' "$file") packages (minutes)" >&2
exec "$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r "$file"
