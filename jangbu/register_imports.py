"""Files of registers taken over in a transaction: what `import` commands and the pages' forms both do.

Each reads a whole file (FileRefused names everything that is wrong), writes what is new in the caller's transaction by
billing's login, and tells what it did; the result is the document of `--json`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from billing.plans.registers import lock_registers, unknown_departments
from billing.pledges.pledge import counting, new_rows, read_signatures
from billing.pledges.register import held_signatures, write_signatures
from billing.programmes.programme import read_applications, read_programmes
from billing.programmes.register import (
    held_applications,
    held_programmes,
    write_applications,
    write_programmes,
)
from billing.quotas.carrying import carry
from billing.quotas.documents import quota_document
from billing.quotas.looking import read_prices
from billing.quotas.quota import changes, read_quotas
from billing.quotas.register import held_quotas, known_since, write_quotas
from billing.quotas.states import states_at
from billing.quotas.windows import window_of
from billing.sentences import Sentence
from billing.store import sha256_of
from jangbu.importing import Outcome
from jangbu.register_lines import (
    application_line,
    first_lines,
    programme_line,
    quota_line,
    quota_lines,
    signature_line,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from sqlalchemy import Connection

    from billing.quotas.windows import WindowKind

Done = Outcome[dict[str, Any]]
What = Literal["quotas", "programmes", "applications"]
"""What a file brings, as its sentence calls it."""


def import_quotas(connection: Connection, raw: bytes, name: str, actor: str) -> Done:
    """Add quotas; a later row replaces an earlier one of the same quota and dates."""
    rows = read_quotas(raw, name)
    lock_registers(connection)
    found = changes(held_quotas(connection), rows)
    write_quotas(connection, found.new_rows, name=name, sha256=sha256_of(raw), actor=actor)
    named = {row.key.subject for row in found.new_rows if row.key.scope == "department"} - {"*"}
    unknown = unknown_departments(connection, sorted(named))
    counts = {"added": len(found.added), "changed": len(found.changed), "unchanged": found.unchanged}
    warned = [
        Sentence("nobody knows %(code)s yet: neither departments, roster nor usage name it", code=repr(code))
        for code in unknown
    ]
    document = {
        "source": name,
        **counts,
        "changes": [{**quota_document(after), "before": quota_document(before)} for before, after in found.changed],
        "unknown_departments": unknown,
    }
    details = first_lines([*warned, *quota_lines(found)])
    return Outcome(document, bool(found.new_rows), _said("quotas", name, counts), details)


def carry_quotas(
    connection: Connection, kind: WindowKind, moment: datetime, most_percent: Decimal, zone: str, actor: str
) -> Done:
    """Add what quotas left unused in the window before the one of an instant to their limits in it, once."""
    lock_registers(connection)
    held, window = held_quotas(connection), window_of(kind, moment, zone)
    last = states_at(connection, held, read_prices(connection, zone), window.start - timedelta(microseconds=1))
    found = carry(held, last, window, known_since(connection), most_percent)
    name = f"carry-over of a {kind} into {window.start:%Y-%m-%dT%H:%MZ}"
    write_quotas(connection, found.rows, name=name, sha256=sha256_of(name.encode()), actor=actor)
    left_out = [{"quota": one.quota, **one.key._asdict(), "why": one.why} for one in found.left_out]
    document = {
        "window": kind,
        "window_start": window.start,
        "window_end": window.end,
        "carried": [quota_document(row) for row in found.rows],
        "left_out": left_out,
    }
    lines = [*map(quota_line, found.rows), *(f"  quota {one.quota}: {one.why}" for one in found.left_out)]
    sentence = f"{name}: {len(found.rows)} quotas, {len(left_out)} left out"
    return Outcome(document, bool(found.rows), sentence, first_lines(lines))


def import_signatures(connection: Connection, raw: bytes, name: str, actor: str, today: date) -> Done:
    """Add signatures of the pledge; what is known already is left as it is."""
    rows = read_signatures(raw, name, today)
    lock_registers(connection)
    held = held_signatures(connection)
    added, known = new_rows(held, rows)
    write_signatures(connection, added, name=name, sha256=sha256_of(raw), actor=actor)
    before = {row[:3]: row for row in counting(held)}
    changed = [(before[row[:3]], row) for row in added if row[:3] in before]
    sentence = Sentence(
        "%(file)s: %(added)s signatures added, %(known)s known already", file=name, added=len(added), known=known
    )
    document = {
        "source": name,
        "added": len(added),
        "unchanged": known,
        "changes": [{**row._asdict(), "before": {"expires_on": old.expires_on}} for old, row in changed],
    }
    lines = [signature_line(row, before.get(row[:3])) for row in added]
    return Outcome(document, bool(added), sentence, first_lines(lines))


def import_programmes(connection: Connection, raw: bytes, name: str, actor: str, currency: str) -> Done:
    """Add programmes; a later row of a programme takes the earlier one's place."""
    rows = read_programmes(raw, name, currency)
    held = held_programmes(connection)
    new = [row for row in rows if held.get(row.programme) != row]
    write_programmes(connection, new, name=name, sha256=sha256_of(raw), actor=actor)
    lines = [programme_line(row, held.get(row.programme)) for row in new]
    return _outcome(name, "programmes", [row.programme in held for row in new], len(rows), lines)


def import_applications(connection: Connection, raw: bytes, name: str, actor: str) -> Done:
    """Add applications for places, and who left."""
    rows = read_applications(raw, name, held_programmes(connection))
    held = held_applications(connection)
    new = [row for row in rows if row not in held]
    known = {(row.programme, row.user, row.applied_at) for row in held}
    write_applications(connection, new, name=name, sha256=sha256_of(raw), actor=actor)
    changed = [(row.programme, row.user, row.applied_at) in known for row in new]
    lines = [application_line(row, is_known) for row, is_known in zip(new, changed, strict=True)]
    return _outcome(name, "applications", changed, len(rows), lines)


def _outcome(name: str, what: What, changed: Sequence[bool], rows: int, lines: Sequence[str]) -> Done:
    """`changed`: for each new row, whether it takes an earlier one's place."""
    counts = {"added": changed.count(False), "changed": changed.count(True), "unchanged": rows - len(changed)}
    return Outcome({"source": name, **counts}, bool(changed), _said(what, name, counts), first_lines(lines))


def _said(what: What, name: str, counts: dict[str, int]) -> Sentence:
    if what == "quotas":
        return Sentence(
            "%(file)s: %(added)s quotas added, %(changed)s changed, %(unchanged)s as they were", file=name, **counts
        )
    if what == "programmes":
        return Sentence(
            "%(file)s: %(added)s programmes added, %(changed)s changed, %(unchanged)s as they were", file=name, **counts
        )
    return Sentence(
        "%(file)s: %(added)s applications added, %(changed)s changed, %(unchanged)s as they were", file=name, **counts
    )
