"""What a right ledger holds, and whether one does: a benchmark of wrong sums would mean nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

UNITS = ("events", "input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens", "requests")
"""What is summed; `events` counts."""
Sums = tuple[int, ...]
"""Quantities in the order of UNITS."""
_SUMS = ", ".join(f"coalesce(sum(p.{unit}), 0)::bigint" for unit in UNITS)
_BY_HOUR = f"""
  select p.hour, y.department, {_SUMS} from usage_part p join payer y on y.id = p.payer_id group by 1, 2
"""
_BY_MODEL = f"""
  select y.department, r.model, {_SUMS}
  from usage_part p join payer y on y.id = p.payer_id join route r on r.id = p.route_id group by 1, 2
"""
_EVENTS = f"select count(*), {', '.join(f'coalesce(sum({unit}), 0)::bigint' for unit in UNITS[1:])} from usage_event"


class WrongSums(AssertionError):
    """A variant stored something else than was sent: its speed means nothing."""


@dataclass(slots=True)
class Truth:
    """Sums by (UTC hour since 1970, department) and by (department, model)."""

    by_hour: dict[tuple[int, str], Sums] = field(default_factory=dict)
    by_model: dict[tuple[str, str], Sums] = field(default_factory=dict)

    @property
    def totals(self) -> Sums:
        """Over everything."""
        return tuple(map(sum, zip(*self.by_model.values(), strict=True))) or (0,) * len(UNITS)

    @property
    def events(self) -> int:
        """How many."""
        return self.totals[0]

    def add(self, more: Truth) -> None:
        """Another day's."""
        _add(self.by_hour, more.by_hour)
        _add(self.by_model, more.by_model)


def check_ledger(connection: psycopg.Connection[Any], truth: Truth) -> None:
    """Raise WrongSums unless events and sums in SQL are exactly those that were sent."""
    stored = connection.execute(_EVENTS).fetchone()
    if stored != truth.totals:
        raise WrongSums(f"usage_event holds {stored}, sent were {truth.totals} ({', '.join(UNITS)})")
    check_same("sums by hour and department", _read(connection, _BY_HOUR), truth.by_hour)
    check_same("sums by department and model", _read(connection, _BY_MODEL), truth.by_model)
    refused = connection.execute("select count(*) from quarantine").fetchone()
    if refused != (0,):
        raise WrongSums(f"{refused} records went to quarantine; every event was good")


def check_same(what: str, found: Mapping[Any, Sums], expected: Mapping[Any, Sums]) -> None:
    """Raise WrongSums naming the first difference."""
    for key in sorted(found.keys() | expected.keys(), key=str):
        if found.get(key) != expected.get(key):
            raise WrongSums(f"{what}: {key} is {found.get(key)}, sent were {expected.get(key)} ({', '.join(UNITS)})")


def _read(connection: psycopg.Connection[Any], query: str) -> dict[tuple[Any, Any], Sums]:
    return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}


def _add(into: dict[Any, Sums], more: Mapping[Any, Sums]) -> None:
    for key, sums in more.items():
        held = into.get(key)
        into[key] = sums if held is None else tuple(a + b for a, b in zip(held, sums, strict=True))
