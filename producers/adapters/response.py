"""`response`: a recorded vendor answer a line (contract.md, section 3). Of the body only its usage is read."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from producers import formats
from producers.adapters.base import LONG_LINE_BYTES_MAX, Adapter, Options, checked, keep_only, read_line, refused_usage
from producers.contract import EVENT_TYPE, EventRefused, ReportedCost, UsageData, UsageEvent


class RecordedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A line's fields; those after `body` may stand there as well, as the usage event names them."""

    id: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    provider: str
    format: str
    body: dict[str, Any]
    source: str | None = None
    user: str | None = None
    department: str | None = None
    model: str | None = None
    key: str | None = None
    account: str | None = None
    operation: str | None = None
    attempt: int | None = None
    region: str | None = None
    service_tier: str | None = None
    status: str = "success"
    tags: dict[str, str] | None = None


_decoder = msgspec.json.Decoder(RecordedAnswer, float_hook=Decimal)
_KEPT = [field for field in RecordedAnswer.__struct_fields__ if field not in ("body", "tags")]
_KEPT_OF_BODY = ("model", "modelVersion", "usage", "usageMetadata", "meta")


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one recorded answer. Raises EventRefused."""
    answer = read_line(line, _decoder)
    source = answer.source or options.source
    if not source:
        raise EventRefused("missing", "source", "absent", "name the gateway in the line or with --source")
    try:
        usage = formats.parse(answer.format, answer.body)
        model = formats.model_of(answer.body, answer.model)
    except formats.UsageRefused as error:
        raise refused_usage(error) from None
    if not model:
        raise EventRefused("missing", "model", "absent", "the body names none: put `model` beside `body`")
    cost = usage.reported_cost
    event = UsageEvent(
        specversion="1.0",
        type=EVENT_TYPE,
        source=source,
        id=answer.id,
        time=answer.time,
        subject=answer.user or None,
        data=UsageData(
            model=model,
            provider=answer.provider,
            units={"requests": 1} if answer.status == "cached" else usage.units,
            department=answer.department or None,
            key=answer.key or None,
            account=answer.account or None,
            operation=answer.operation or None,
            attempt=answer.attempt,
            service_tier=usage.service_tier or answer.service_tier or "standard",  # type: ignore[arg-type]
            region=answer.region or usage.region,
            status=answer.status,  # type: ignore[arg-type]
            usage_source=usage.usage_source,
            reported_cost=None if cost is None else ReportedCost(amount=cost[0], currency=cost[1]),
            tags={**usage.tags, **(answer.tags or {})} or None,
        ),
    )
    return [checked(event)]


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {"body": _KEPT_OF_BODY})


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX)
