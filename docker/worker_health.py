"""Is the worker of this container awake and connected? Exit 0 yes, 1 no, with one sentence that says why not.

Reads /proc only: no import of ours, no connection, no query, so that a check every few seconds costs nothing. It
looks for an established TCP connection to a port of Kafka's and to PostgreSQL's, as the container's settings name
them, and at the state of process 1: stopped or dead is not awake. What it cannot see is a worker that is connected
and makes no progress; that is what lag, `jangbu wait` and `jangbu audit` are for.
"""

# ruff: noqa: INP001 - a script that is copied into the image on its own, no part of a package
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ESTABLISHED = "01"  # include/net/tcp_states.h of Linux
ASLEEP_FOR_GOOD = {"T": "stopped", "t": "stopped by a tracer", "Z": "dead", "X": "dead"}  # proc(5), field 3 of stat
POSTGRES_PORT = 5432
KAFKA_PORT = 9092


def wanted_ports(settings: Mapping[str, str]) -> dict[str, set[int]]:
    """Service to the ports that its settings name; a service without a setting is embedded and is not asked for."""
    ports: dict[str, set[int]] = {}
    bootstrap = settings.get("JANGBU_KAFKA_BOOTSTRAP", "")
    if bootstrap:
        addresses = [urlsplit(f"//{address.strip()}") for address in bootstrap.split(",")]
        ports["Kafka"] = {address.port or KAFKA_PORT for address in addresses}
    database = settings.get("JANGBU_DATABASE_URL_WORKER") or settings.get("JANGBU_DATABASE_URL")
    if database:
        ports["PostgreSQL"] = {urlsplit(database).port or POSTGRES_PORT}
    return ports


def connected_ports(tables: list[str]) -> set[int]:
    """Remote ports of established connections in the text of /proc/net/tcp and tcp6 (hexadecimal, proc(5))."""
    ports = set()
    for line in (line for table in tables for line in table.splitlines()[1:]):
        _, _, remote, state, *_ = line.split()
        if state == ESTABLISHED:
            ports.add(int(remote.rpartition(":")[2], 16))
    return ports


def complaint(settings: Mapping[str, str], tables: list[str], stat: str) -> str | None:
    """The sentence that says what is wrong; None when nothing is."""
    state = stat.rpartition(")")[2].split()[0]
    if state in ASLEEP_FOR_GOOD:
        return f"process 1 is {ASLEEP_FOR_GOOD[state]} (state {state}): continue it or restart the container"
    connected = connected_ports(tables)
    for service, ports in wanted_ports(settings).items():
        if not ports & connected:
            listed = ", ".join(str(port) for port in sorted(ports))
            return f"no connection to {service} (port {listed}): is it up, and does the worker's log name a reason?"
    return None


def main() -> int:
    """Look once; the sentence goes to standard output, where `docker inspect` keeps it."""
    tables = [path.read_text() for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    wrong = complaint(os.environ, tables, Path("/proc/1/stat").read_text())
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
