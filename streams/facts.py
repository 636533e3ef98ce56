"""Loading what slowly changes, roster and thresholds, together with its version."""

from __future__ import annotations

import psycopg

from streams.attribution import Roster, RosterRow
from streams.decode import Facts


def load_facts(connection: psycopg.Connection) -> Facts:
    """Roster and thresholds of one version, read in one snapshot."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        version = _only(connection, "select version from reference_version")
        rows = connection.execute(
            'select id, "user", key, department, (extract(epoch from valid_from) * 1000000)::bigint,'
            " (extract(epoch from valid_to) * 1000000)::bigint from roster"
        ).fetchall()
        thresholds = connection.execute("select tokens_above from prompt_threshold order by 1").fetchall()
    return Facts(version, Roster(RosterRow(*row) for row in rows), tuple(row[0] for row in thresholds))


def _only(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    if row is None:
        raise LookupError(f"no row from {query!r}: run `jangbu migrate`")
    return int(row[0])
