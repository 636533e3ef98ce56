"""What adapters of other gateways' rows share: reading a row, its moment, its counts, and building its event. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, Final

import msgspec

from producers.adapters.base import Options, checked, exact, read_line
from producers.contract import EVENT_TYPE, EventRefused, ReportedCost, Status, UsageData, UsageEvent, UsageSource

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]
_decoder: Final = msgspec.json.Decoder(Row, float_hook=Decimal)
HTTP_ERROR: Final = 400
_COST_MIN: Final = Decimal("1e-20")


def read_row(line: bytes) -> Row:
    """A line that is one JSON object. Raises EventRefused."""
    return read_line(line, _decoder)


def text(row: Mapping[str, Any], *names: str) -> str | None:
    """The first of these fields that holds a text, or a whole number; `-` and the empty text are none."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value) not in ("", "-"):
            return str(value)
    return None


def needed(row: Mapping[str, Any], *names: str) -> str:
    """The same, where it must be there. Raises EventRefused naming the last."""
    found = text(row, *names)
    if found is None:
        raise EventRefused("missing", names[-1], "absent", "it is required to count the request")
    return found


def inside(row: Mapping[str, Any], name: str) -> Row:
    """An object in a row, which some exports write as a text of JSON; empty where there is none."""
    value = row.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal)
        except (ValueError, RecursionError, DecimalException):
            return {}
    return value if isinstance(value, dict) else {}


def moment(row: Mapping[str, Any], *names: str) -> datetime:
    """A written moment. Without a zone it is UTC, in which these exports write. Raises EventRefused."""
    value = needed(row, *names)
    if value.isdigit():  # seconds or milliseconds since 1970: read as a written moment it would be another century's
        raise EventRefused("invalid", names[-1], value, "send RFC 3339, with a zone or in UTC")
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise EventRefused("invalid", names[-1], value, "send RFC 3339, with a zone or in UTC") from None


def source_of(options: Options) -> str:
    """The gateway's name, which these rows do not say. Raises EventRefused."""
    if not options.source:
        raise EventRefused("missing", "source", "absent", "name the gateway with --source or JANGBU_SOURCE")
    return options.source


def cost_of(row: Mapping[str, Any], name: str, a_unit: Decimal) -> ReportedCost | None:
    """What the gateway says it cost, in USD: the figure times what one of its units is. 0 may mean unknown."""
    value = row.get(name)
    try:
        figure = exact(Decimal(value) if isinstance(value, str) else value)
    except DecimalException:
        return None
    amount = None if figure is None else figure * a_unit
    if amount is None or amount < _COST_MIN:
        return None
    return ReportedCost(amount=amount.normalize(), currency="USD")


def measured(units: Mapping[str, int]) -> tuple[dict[str, int], UsageSource]:
    """Units with the request itself. Zeros alone say nothing: these systems write 0 where they know none."""
    if not any(units.values()):
        return {"requests": 1}, "missing"
    return {**units, "requests": 1}, "provider"


def status_of(*, failed: bool, cached: bool, usage_source: UsageSource) -> Status:
    """How the call ended; a failed one that used tokens broke off."""
    if cached:
        return "cached"
    if not failed:
        return "success"
    return "failure" if usage_source == "missing" else "cut"


def event_of(
    options: Options,
    event_id: str,
    time: datetime,
    units: Mapping[str, int],
    data: Mapping[str, Any],
    *,
    subject: str | None = None,
    failed: bool = False,
    cached: bool = False,
) -> UsageEvent:
    """The usage event of a row; `data` holds what else stands in its data. Raises EventRefused."""
    counted, usage_source = ({"requests": 1}, "provider") if cached else measured(units)
    status = status_of(failed=failed, cached=cached, usage_source=usage_source)  # type: ignore[arg-type]
    return checked(
        UsageEvent(
            specversion="1.0",
            type=EVENT_TYPE,
            source=source_of(options),
            id=event_id,
            time=time,
            subject=subject,
            data=UsageData(units=counted, status=status, usage_source=usage_source, **data),  # type: ignore[arg-type]
        )
    )
