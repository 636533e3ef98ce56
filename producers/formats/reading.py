"""Reading counts out of decoded JSON that others wrote.

The rules for one value: null or absent is "not said" (None); a whole number is a count, also where it is written as
12.0; a truth value, a text, a fraction, a negative, an infinite or an absurd number is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from producers.formats.usage import UsageRefused

COUNT_MAX: Final = 2**63 - 1
"""The largest count that PostgreSQL's bigint holds; the event's own, far lower bound is checked where events enter."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object of a body, with the path where it stands, so that a refusal can name the field."""

    path: str
    values: Mapping[str, Any]

    def count(self, *names: str) -> int | None:
        """The first of these fields that tells a count; None where none does."""
        for name in names:
            value = self.values.get(name)
            if value is not None:
                return _whole(self.where(name), value)
        return None

    def inside(self, *names: str) -> Fields:
        """The object in the first of these fields that holds one; an empty one where none does (`[]` says nothing)."""
        for name in names:
            value = self.values.get(name)
            if value is not None and value != []:
                return Fields(self.where(name), _object(self.where(name), value))
        return Fields(self.where(names[0]), {})

    def each(self, name: str) -> list[Fields]:
        """The objects of a list; empty where nothing is said."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            raise UsageRefused(self.where(name), value, "it must be a list of objects")
        places = ((f"{self.where(name)}[{index}]", entry) for index, entry in enumerate(value))
        return [Fields(place, _object(place, entry)) for place, entry in places if entry is not None]

    def text(self, name: str) -> str | None:
        """A text; None where the field is absent, empty or not a text (nothing that is counted is read so)."""
        value = self.values.get(name)
        return value if isinstance(value, str) and value else None

    def where(self, name: str) -> str:
        """The path of a field inside the body."""
        return f"{self.path}.{name}" if self.path else name

    def __bool__(self) -> bool:
        return bool(self.values)


def find(body: Mapping[str, Any], places: tuple[tuple[str, ...], ...]) -> tuple[Fields, Fields]:
    """The first of these places that holds a filled object: (the object around it, itself); empty ones where none does.

    A whole answer, a stream's last chunk and an event that wraps the answer tell the same usage at different depths.
    """
    for place in places:
        holder = Fields("", body)
        for name in place[:-1]:
            value = holder.values.get(name)
            holder = Fields(holder.where(name), value if isinstance(value, Mapping) else {})
        if found := holder.inside(place[-1]):
            return holder, found
    return Fields("", body), Fields(".".join(places[0]), {})


def _object(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageRefused(where, value, "it must be an object")
    return value


def _whole(where: str, value: Any) -> int:
    """A count from a decoded number. The bound comes before `int`: Decimal("1E+999999999") would fill the memory."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise UsageRefused(where, value, "a count must be a JSON number")
    if isinstance(value, Decimal) and value.is_nan():
        raise UsageRefused(where, value, "a count must be a number")
    if not 0 <= value <= COUNT_MAX:  # a float's NaN fails here, too
        raise UsageRefused(where, value, f"a count must lie between 0 and {COUNT_MAX}")
    if value != int(value):
        raise UsageRefused(where, value, "a count must be whole")
    return int(value)
