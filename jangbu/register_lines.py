"""What a register's file changes, row by row, as it is looked at before it is written.

In sentences, so that a page tells them in its reader's language.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.money import plain
from billing.sentences import Listed, Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.plans.departments import Department
    from billing.pledges.pledge import Signature
    from billing.programmes.programme import Application, Programme
    from billing.quotas.quota import Quota, QuotaChanges

DIFF_LINES_MAX = 20
EMPTY = Sentence("(empty)")


def first_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """As many lines as are looked at before a file is written, and how many more there are."""
    more = len(lines) - DIFF_LINES_MAX
    if more <= 0:
        return tuple(lines)
    return (*lines[:DIFF_LINES_MAX], Sentence("and %(count)s more", count=more))


def quota_lines(found: QuotaChanges) -> Iterator[Sentence]:
    """Limits that are added, then those that change."""
    for row in found.added:
        yield quota_line(row)
    for old, row in found.changed:
        yield Sentence("~ %(what)s: %(before)s -> %(after)s", what=_quota(row), before=_limit(old), after=_limit(row))


def quota_line(row: Quota) -> Sentence:
    """One limit that is added."""
    return Sentence("+ %(what)s: %(after)s", what=_quota(row), after=_limit(row))


def _quota(row: Quota) -> str:
    key = row.key
    return " ".join(part for part in (key.scope, key.subject, key.model, f"a {key.window}") if part)


def _limit(row: Quota) -> str:
    return Sentence("no limit") if row.limit is None else f"{plain(row.limit)} {row.key.unit}"


def signature_line(row: Signature, old: Signature | None) -> Sentence:
    """A signature that is added, or that ends on another day than `old` said."""
    told = {"user": row.user, "version": row.version, "day": row.signed_on}
    if old is not None:
        return Sentence(
            "~ %(user)s, version %(version)s, signed on %(day)s: until before %(before)s -> %(end)s",
            **told,
            before=old.expires_on or Sentence("(no end)"),
            end=row.expires_on or Sentence("(no end)"),
        )
    if row.expires_on is None:
        return Sentence("+ %(user)s, version %(version)s, signed on %(day)s", **told)
    return Sentence(
        "+ %(user)s, version %(version)s, signed on %(day)s, until before %(end)s", **told, end=row.expires_on
    )


def programme_line(row: Programme, old: Programme | None) -> Sentence:
    """A programme that is added, or the cells of it that change."""
    if old is not None:
        return Sentence("~ %(what)s: %(cells)s", what=row.programme, cells=_cells(old._asdict(), row._asdict()))
    return Sentence(
        "+ %(programme)s %(name)s, %(first)s until before %(end)s, %(places)s places",
        programme=row.programme, name=row.name, first=row.starts_on, end=row.ends_on, places=row.places,
    )  # fmt: skip


def application_line(row: Application, is_known: bool) -> Sentence:
    """A wish for a place that is added, or whose department or end changes."""
    told = {"programme": row.programme, "user": row.user, "moment": _cell(row.applied_at)}
    if row.left_at is not None:
        return Sentence(
            "~ %(programme)s: %(user)s, applied at %(moment)s, left at %(end)s" if is_known
            else "+ %(programme)s: %(user)s, applied at %(moment)s, left at %(end)s",
            **told, end=_cell(row.left_at),
        )  # fmt: skip
    return Sentence(
        "~ %(programme)s: %(user)s of %(department)s, applied at %(moment)s" if is_known
        else "+ %(programme)s: %(user)s of %(department)s, applied at %(moment)s",
        **told, department=row.department,
    )  # fmt: skip


def department_line(row: Department, before: dict[str, str | None] | None, to: dict[str, str | None]) -> Sentence:
    """A department that is added, or the cells of it that change."""
    if before is not None:
        return Sentence("~ %(what)s: %(cells)s", what=row.department, cells=_cells(before, to))
    return Sentence(
        "+ %(department)s %(name)s, from %(moment)s", department=row.department, name=row.name,
        moment=_cell(row.valid_from),
    )  # fmt: skip


def _cells(before: dict[str, Any], after: dict[str, Any]) -> Listed:
    """The cells that differ, with what they were and become."""
    return Listed(
        (
            Sentence(
                "%(cell)s %(before)s -> %(after)s", cell=name, before=_cell(before[name]), after=_cell(after[name])
            )
            for name in after
            if before[name] != after[name]
        ),
        ", ",
    )


def _cell(cell: object) -> str:
    """A cell as a file writes it."""
    if cell is None or cell in ("", ()):
        return EMPTY
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%dT%H:%MZ}"
    if isinstance(cell, Decimal):
        return plain(cell)
    if isinstance(cell, tuple):
        return ";".join(":".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in cell)
    return str(cell)
