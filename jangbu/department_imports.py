"""Files of departments and of their budgets taken over in a transaction: what commands and the pages' forms do.

As `jangbu.register_imports`: FileRefused names everything that is wrong, what is new is written by billing's login, and
the result is the document of `--json`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from billing.money import plain
from billing.plans import budgets, departments
from billing.plans.registers import (
    held_budgets,
    held_departments,
    left_behind,
    lock_registers,
    unknown_departments,
    write_budgets,
    write_departments,
)
from billing.sentences import Sentence
from billing.store import sha256_of
from jangbu.importing import Outcome
from jangbu.register_imports import Done
from jangbu.register_lines import department_line, first_lines

if TYPE_CHECKING:
    from sqlalchemy import Connection


def import_budgets(connection: Connection, raw: bytes, name: str, actor: str, currency: str) -> Done:
    """Add budgets in the statements' currency; a later row replaces an earlier one of its department and period."""
    rows = budgets.read_budgets(raw, name, currency)
    lock_registers(connection)
    found = budgets.changes(held_budgets(connection), rows)
    write_budgets(connection, found.new_rows, name=name, sha256=sha256_of(raw), actor=actor)
    codes = sorted({row.department for row in found.new_rows if row.department is not None})
    unknown = unknown_departments(connection, codes)
    counts = {"added": len(found.added), "changed": len(found.changed), "unchanged": found.unchanged}
    sentence = Sentence(
        "%(file)s: %(added)s budgets added, %(changed)s changed, %(unchanged)s as they were", file=name, **counts
    )
    warned = [
        Sentence("nobody knows %(code)s yet: neither departments, roster nor usage name it", code=repr(code))
        for code in unknown
    ]
    lines = [f"+ {_whose(row)} {row.period}: {plain(row.amount)} {row.currency}" for row in found.added]
    lines += [
        f"~ {_whose(row)} {row.period}: {plain(old.amount)} -> {plain(row.amount)} {row.currency}"
        for old, row in found.changed
    ]
    document = {
        "source": name,
        **counts,
        "changes": [
            {"department": row.department, "period": row.period, "from": plain(old.amount), "to": plain(row.amount)}
            for old, row in found.changed
        ],
        "unknown_departments": unknown,
    }
    return Outcome(document, bool(found.new_rows), sentence, first_lines([*warned, *lines]))


def import_departments(connection: Connection, raw: bytes, name: str, actor: str, zone: str) -> Done:
    """Add departments and what changes about them; rows are never overwritten. Days are those of `zone`."""
    read = departments.read_departments(raw, name, zone)
    lock_registers(connection)
    found = departments.changes(held_departments(connection), read, name)
    write_departments(connection, found.new_rows, name=name, sha256=sha256_of(raw), actor=actor)
    counts = {"added": len(found.added), "changed": len(found.changed), "unchanged": found.unchanged}
    sentence = Sentence(
        "%(file)s: %(added)s departments added, %(changed)s changed, %(unchanged)s as they were", file=name, **counts
    )
    behind = left_behind(connection, departments.ends_of(departments.terms_of(held_departments(connection))))
    warned = [
        Sentence(
            "%(count)s memberships still lead to %(code)s after its end: move them with `jangbu roster import`",
            count=count,
            code=code,
        )
        for code, count in behind.items()
    ]
    changed = [(old, row, *_changed_cells(old, row)) for old, row in found.changed]
    lines = [department_line(row, None, {}) for row in found.added]
    lines += [department_line(row, before, to) for _, row, before, to in changed]
    document = {
        "source": name,
        **counts,
        "changes": [
            {"department": row.department, "valid_from": row.valid_from, "from": before, "to": to}
            for _, row, before, to in changed
        ],
        "left_behind": [{"department": code, "memberships": count} for code, count in behind.items()],
    }
    return Outcome(document, bool(found.new_rows), sentence, first_lines([*warned, *lines]))


def _whose(row: budgets.BudgetRow) -> str:
    return row.department or departments.ORGANISATION


def _changed_cells(
    old: departments.Department, after: departments.Department
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The cells of a row that differ, before and after, as text."""
    before, to = ({column: _text(cell) for column, cell in row._asdict().items()} for row in (old, after))
    names = [column for column in to if before[column] != to[column]]
    return {column: before[column] for column in names}, {column: to[column] for column in names}


def _text(cell: Any) -> str | None:
    return f"{cell:%Y-%m-%dT%H:%M:%SZ}" if isinstance(cell, datetime) else cell
