"""`langfuse`: exported observations of Langfuse, one a line. Generations and embeddings count, others do not.

`usageDetails` has a count for each usage type. Whether cached and reasoned tokens stand beside the input and output or
inside them is told by `total`: where input and output alone make it up, they stand inside and are made disjoint; where
all types together do, they are disjoint already; otherwise the row is refused. Without a total they are disjoint, as
Langfuse asks of those who send. A usage type without a unit of ours keeps its name, and shows as unpriced.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from producers.adapters import rows
from producers.adapters.base import LONG_LINE_BYTES_MAX, Adapter, Options, keep_only
from producers.adapters.inclusive import count_in
from producers.adapters.provider_names import provider_named, provider_of_model
from producers.contract import EventRefused

if TYPE_CHECKING:
    from producers.contract import UsageEvent

CALLS: Final = frozenset({"GENERATION", "EMBEDDING"})
DOLLAR: Final = Decimal(1)
TYPES: Final = {
    "input": "input_tokens",
    "prompt_tokens": "input_tokens",
    "output": "output_tokens",
    "completion_tokens": "output_tokens",
    "input_cached_tokens": "cache_read_tokens",
    "input_cache_read": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "input_cache_creation": "cache_write_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "input_cache_creation_5m": "cache_write_5m_tokens",
    "input_cache_creation_1h": "cache_write_1h_tokens",
    "input_audio_tokens": "audio_input_tokens",
    "output_audio_tokens": "audio_output_tokens",
    "output_reasoning": "reasoning_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
}
"""Langfuse's usage types -> units."""

WHOLES: Final = ("input_tokens", "output_tokens")
OF_OUTPUT: Final = frozenset({"reasoning_tokens", "audio_output_tokens", "image_output_tokens"})
_KEPT: Final = ("id", "traceId", "type", "startTime", "model", "level", "userId", "usageDetails", "costDetails",
                "calculatedTotalCost", "totalCost")  # fmt: skip


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one observation, or none. Raises EventRefused."""
    row = rows.read_row(line)
    if rows.needed(row, "type").upper() not in CALLS:
        return []
    model = rows.needed(row, "providedModelName", "model")
    metadata = rows.inside(row, "metadata")
    costs = {**row, **rows.inside(row, "costDetails")}
    named = next((name for name in ("total", "totalCost", "calculatedTotalCost") if costs.get(name)), "total")
    data = {
        "model": model,
        "provider": provider_named(rows.text(metadata, "ls_provider", "provider")) or provider_of_model(model),
        "department": rows.text(metadata, "department"),
        "operation": "embeddings" if row["type"].upper() == "EMBEDDING" else None,
        "reported_cost": rows.cost_of(costs, named, DOLLAR),
    }
    return [
        rows.event_of(
            options,
            rows.needed(row, "id"),
            rows.moment(row, "startTime"),
            _units(rows.inside(row, "usageDetails") or rows.inside(row, "usage")),
            data,
            subject=rows.text(row, "userId", "user_id"),
            failed=row.get("level") == "ERROR",
        )
    ]


def _units(details: rows.Row) -> dict[str, int]:
    """Disjoint units of a usage. Raises EventRefused where its total fits neither reading."""
    if details.get("unit") not in (None, "TOKENS"):
        raise EventRefused("invalid", "usage.unit", details["unit"], "export usage in TOKENS")
    units: dict[str, int] = {}
    for name in details:
        if name in ("total", "total_tokens", "unit") or details[name] is None or name.endswith(("Cost", "_details")):
            continue
        unit = TYPES.get(name, name)
        units[unit] = units.get(unit, 0) + (count_in(details, name) or 0)
    total = count_in(details, "total", "total_tokens")
    if total is None or sum(units.values()) == total:
        return units
    if sum(units.get(whole, 0) for whole in WHOLES) != total:
        raise EventRefused("usage", "usageDetails.total", total, "its parts do not add up to it: correct the export")
    for unit, count in list(units.items()):
        whole = WHOLES[unit in OF_OUTPUT]
        if unit not in WHOLES and (left := units.get(whole, 0) - count) >= 0:
            units[whole] = left
        elif unit not in WHOLES:
            raise EventRefused("usage", f"usageDetails.{unit}", count, f"it is more than {whole}, which holds it")
    return units


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, [name for name in _KEPT if not name.endswith("Details")], {})


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX, needs_source=True)
