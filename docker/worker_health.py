"""Is the worker of this container awake, and are its services there? Exit 0 yes, 1 no, with one sentence why not.

Reads /proc: no import of ours, no log-in, no query, so that a check every few seconds costs nothing. Looked at: the
state of process 1 (stopped or dead is not awake); an established connection to Kafka, without which a worker is in no
group; and PostgreSQL, to which an idle worker connects again only with its next chunk, so that there a port that
answers is enough. What this cannot see is a worker that is connected and makes no progress: that is what lag,
`jangbu wait` and `jangbu audit` are for.
"""

# ruff: noqa: INP001 - a script that is copied into the image on its own, no part of a package
from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ESTABLISHED = "01"  # include/net/tcp_states.h of Linux
ASLEEP_FOR_GOOD = {"T": "stopped", "t": "stopped by a tracer", "Z": "dead", "X": "dead"}  # proc(5), field 3 of stat
POSTGRES_PORT = 5432
KAFKA_PORT = 9092
CONNECT_S_MAX = 2.0


def kafka_ports(settings: Mapping[str, str]) -> set[int]:
    """Ports of the brokers that the settings name; none where Kafka is embedded."""
    named = settings.get("JANGBU_KAFKA_BOOTSTRAP", "")
    addresses = [urlsplit(f"//{address.strip()}") for address in named.split(",") if address.strip()]
    return {address.port or KAFKA_PORT for address in addresses}


def database_address(settings: Mapping[str, str]) -> tuple[str, int] | None:
    """Host and port of PostgreSQL; None where it is embedded or reached over a socket of the file system."""
    named = settings.get("JANGBU_DATABASE_URL_WORKER") or settings.get("JANGBU_DATABASE_URL") or ""
    address = urlsplit(named)
    return (address.hostname, address.port or POSTGRES_PORT) if address.hostname else None


def connected_ports(tables: list[str]) -> set[int]:
    """Remote ports of established connections in the text of /proc/net/tcp and tcp6 (hexadecimal, proc(5))."""
    ports = set()
    for line in (line for table in tables for line in table.splitlines()[1:]):
        _, _, remote, state, *_ = line.split()
        if state == ESTABLISHED:
            ports.add(int(remote.rpartition(":")[2], 16))
    return ports


def complaint(
    settings: Mapping[str, str], tables: list[str], stat: str, answers: Callable[[tuple[str, int]], bool]
) -> str | None:
    """The sentence that says what is wrong; None when nothing is. ``answers``: whether an address takes connections."""
    state = stat.rpartition(")")[2].split()[0]
    if state in ASLEEP_FOR_GOOD:
        return f"process 1 is {ASLEEP_FOR_GOOD[state]} (state {state}): continue it or restart the container"
    connected = connected_ports(tables)
    brokers = kafka_ports(settings)
    if brokers and not brokers & connected:
        listed = ", ".join(str(port) for port in sorted(brokers))
        return f"no connection to Kafka (port {listed}): is it up, and does the worker's log name a reason?"
    database = database_address(settings)
    if database and database[1] not in connected and not answers(database):
        return f"PostgreSQL does not answer at {database[0]}:{database[1]}: is it up, and is the address right?"
    return None


def takes_connections(address: tuple[str, int]) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(address, timeout=CONNECT_S_MAX).close()
    except OSError:
        return False
    return True


def main() -> int:
    """Look once; the sentence goes to standard output, where `docker inspect` keeps it."""
    tables = [path.read_text() for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    wrong = complaint(os.environ, tables, Path("/proc/1/stat").read_text(), takes_connections)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
