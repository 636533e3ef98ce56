"""`portkey`: Portkey's log exports. Units are input and output only; `cost` is in US cents.

A row has no id of its own in every export: without `id` it is `trace_id` and the moment, since the calls of one trace
share the former. The vendor's credential (`virtual_key`) is the account; the user and the department are the metadata
`_user` and `department`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from producers.adapters import rows
from producers.adapters.base import LONG_LINE_BYTES_MAX, Adapter, Options, keep_only
from producers.adapters.inclusive import Counts, count_in, disjoint
from producers.adapters.provider_names import provider_named
from producers.contract import EventRefused

if TYPE_CHECKING:
    from producers.contract import UsageEvent

CENT: Final = Decimal("0.01")
_KEPT: Final = ("id", "trace_id", "created_at", "is_success", "ai_org", "ai_model", "req_units", "res_units", "cost",
                "cost_currency", "response_status_code", "cache_status", "virtual_key")  # fmt: skip


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one row. Raises EventRefused."""
    row = rows.read_row(line)
    time = rows.moment(row, "created_at")
    own = rows.text(row, "id")
    provider = provider_named(rows.needed(row, "ai_org"))
    metadata = _metadata(row)
    data = {
        "model": rows.needed(row, "ai_model"),
        "provider": provider,
        "account": rows.text(row, "virtual_key"),
        "department": rows.text(metadata, "department"),
        "reported_cost": rows.cost_of(row, "cost", CENT) if row.get("cost_currency") in (None, "", "USD") else None,
    }
    if "req_units" not in row or "res_units" not in row:
        raise EventRefused("missing", "req_units, res_units", "absent", "export them: they are the counts")
    return [
        rows.event_of(
            options,
            own or f"{rows.needed(row, 'id', 'trace_id')}:{time.isoformat()}",
            time,
            disjoint(Counts(count_in(row, "req_units"), count_in(row, "res_units"))),
            data,
            subject=rows.text(metadata, "_user"),
            failed=row.get("is_success") in (False, 0, "false", "0"),
            cached=str(row.get("cache_status") or "").upper() in ("HIT", "SEMANTIC HIT", "SEMANTIC_HIT"),
        )
    ]


def _metadata(row: rows.Row) -> rows.Row:
    """Metadata as an object, or as two lists of the same length, as the export's columns are named."""
    names: Any = row.get("metadata.key")
    values: Any = row.get("metadata.value")
    if isinstance(names, list) and isinstance(values, list):
        return {str(name): value for name, value in zip(names, values, strict=False)}
    found = rows.inside(row, "metadata")
    if isinstance(found.get("key"), list) and isinstance(found.get("value"), list):
        return {str(name): value for name, value in zip(found["key"], found["value"], strict=False)}
    return found


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {})


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX, needs_source=True)
