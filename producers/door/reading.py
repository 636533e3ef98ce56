"""Events as the door reads them: what was checked once, names and sets of units, is remembered and not checked again.

A gateway's events repeat their names: looking a tuple up costs a tenth of checking nine names. What is remembered is
bounded; forgetting changes no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from producers.contract import check_name, check_names, check_rest, check_units, read_event

if TYPE_CHECKING:
    from producers.contract import UsageEvent

REMEMBERED_MAX: Final = 50_000


class EventReader:
    """Reads and checks like `producers.contract.decode_event`. Usable from several threads."""

    def __init__(self) -> None:
        self._names: set[tuple[str | None, ...]] = set()
        self._units: set[tuple[str, ...]] = set()

    def read(self, raw: bytes) -> UsageEvent:
        """The event. Raises EventRefused."""
        event = read_event(raw)
        data = event.data
        names = (event.source, event.subject, data.model, data.provider, data.department, data.key, data.account,
                 data.operation, data.region)  # fmt: skip
        event_id = event.id
        if names not in self._names:
            check_name("source", event.source)
            check_name("id", event_id)
            check_names(event)
            if len(self._names) >= REMEMBERED_MAX:
                self._names.clear()
            self._names.add(names)
        elif not (event_id.isascii() and event_id.isprintable()):
            check_name("id", event_id)
        units = tuple(data.units)
        if data.status == "cached" or units not in self._units:
            check_units(data)
            if len(self._units) >= REMEMBERED_MAX:
                self._units.clear()
            self._units.add(units)
        if data.reported_cost is not None or data.tags is not None:
            check_rest(event)
        return event
