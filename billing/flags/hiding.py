"""What of the counts may be shown: groups below k people are hidden, and others beside them where a difference to the
total would give them away. Pure.

Within one flag the departments add up to the organisation's total. A department whose flagged people are fewer than k
is hidden. One hidden department alone would be the total minus the others: so the next smallest are hidden with it,
until at least two are hidden and together they are at least k people. Where that cannot be, the total is hidden too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Hidden = Literal["small", "beside"]
"""Why a figure is not shown: fewer than k people; or it would give away one that is."""


@dataclass(frozen=True, slots=True)
class Count:
    """Flagged events of a department and flag, and the people they are of (a person nobody knows counts as one)."""

    events: int
    people: frozenset[str | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `department` None is nobody's; `is_total` the organisation's. Figures are None where hidden."""

    department: str | None
    flag: str
    events: int | None
    people: int | None
    hidden: Hidden | None
    is_total: bool = False


def shown_rows(counts: Mapping[tuple[str | None, str], Count], k: int, flags: tuple[str, ...]) -> list[Row]:
    """A row for each department and flag and one for each flag's total, flags in the order given."""
    by_flag: dict[str, dict[str | None, Count]] = defaultdict(dict)
    for (department, flag), count in counts.items():
        by_flag[flag][department] = count
    order = [*(flag for flag in flags if flag in by_flag), *sorted(by_flag.keys() - set(flags))]
    return [row for flag in order for row in _rows_of(flag, by_flag[flag], k)]


def _rows_of(flag: str, counts: Mapping[str | None, Count], k: int) -> list[Row]:
    hidden, hides_total = _hidden(counts, k)
    rows = []
    for department in sorted(counts, key=_department_order):
        count = counts[department]
        why: Hidden | None = None
        if department in hidden:
            why = "small" if len(count.people) < k else "beside"
        rows.append(_row(department, flag, count, why))
    whole = Count(sum(count.events for count in counts.values()), _people(counts.values()))
    why = ("small" if len(whole.people) < k else "beside") if hides_total else None
    return [*rows, _row(None, flag, whole, why, is_total=True)]


def _hidden(counts: Mapping[str | None, Count], k: int) -> tuple[set[str | None], bool]:
    """(the departments to hide, whether the total must be hidden with them)."""
    hidden = {department for department, count in counts.items() if len(count.people) < k}
    if not hidden:
        return hidden, False
    rest = sorted(counts.keys() - hidden, key=lambda code: (len(counts[code].people), counts[code].events,
                                                           _department_order(code)))  # fmt: skip
    for department in rest:
        if _is_safe(hidden, counts, k):
            break
        hidden.add(department)
    return hidden, not _is_safe(hidden, counts, k)


def _is_safe(hidden: set[str | None], counts: Mapping[str | None, Count], k: int) -> bool:
    """Whether the sum of what is hidden, which the total gives away, points at nobody."""
    return len(hidden) > 1 and len(_people([counts[code] for code in hidden])) >= k


def _people(counts: Iterable[Count]) -> frozenset[str | None]:
    return frozenset(person for count in counts for person in count.people)


def _department_order(code: str | None) -> tuple[bool, str]:
    return code is None, code or ""


def _row(department: str | None, flag: str, count: Count, why: Hidden | None, *, is_total: bool = False) -> Row:
    if why is None:
        return Row(department, flag, count.events, len(count.people), None, is_total)
    return Row(department, flag, None, None, why, is_total)
