"""`helicone`: rows of Helicone's RequestResponse table. `cost` is a whole number of USD x 1e-9.

Cached and audio tokens stand inside `prompt_tokens` and `completion_tokens`, but for vendors whose own input excludes
what is cached (`inclusive.CACHE_OUTSIDE`). Columns are 0 where nothing is known, so that zeros alone are `missing`. An
answer from Helicone's cache names the request that it repeats.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from producers.adapters import rows
from producers.adapters.base import LONG_LINE_BYTES_MAX, Adapter, Options, keep_only
from producers.adapters.inclusive import CACHE_OUTSIDE, Counts, count_in, disjoint
from producers.adapters.provider_names import provider_named
from producers.contract import EventRefused

if TYPE_CHECKING:
    from producers.contract import UsageEvent

COST_UNIT: Final = Decimal("1e-9")
NO_REFERENCE: Final = (None, "", "00000000-0000-0000-0000-000000000000")
_CLASSES: Final = ("prompt_cache_read_tokens", "prompt_cache_write_tokens", "prompt_audio_tokens",
                   "completion_audio_tokens")  # fmt: skip
_KEPT: Final = ("request_id", "request_created_at", "response_created_at", "status", "prompt_tokens",
                "completion_tokens", *_CLASSES, "model", "provider", "user_id", "cost",
                "cache_reference_id")  # fmt: skip


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one row. Raises EventRefused."""
    row = rows.read_row(line)
    provider = provider_named(rows.needed(row, "provider"))
    if "prompt_tokens" not in row or "completion_tokens" not in row:
        raise EventRefused("missing", "prompt_tokens, completion_tokens", "absent", "export them: they are the counts")
    properties = rows.inside(row, "properties")
    data = {
        "model": rows.needed(row, "model"),
        "provider": provider,
        "key": rows.text(row, "proxy_key_id"),
        "department": rows.text(properties, "department", "Department"),
        "reported_cost": rows.cost_of(row, "cost", COST_UNIT),
    }
    status = count_in(row, "status")
    return [
        rows.event_of(
            options,
            rows.needed(row, "request_id"),
            rows.moment(row, "request_created_at"),
            _units(row, provider),
            data,
            subject=rows.text(row, "user_id"),
            failed=status is not None and status >= rows.HTTP_ERROR,
            cached=row.get("cache_reference_id") not in NO_REFERENCE,
        )
    ]


def _units(row: rows.Row, provider: str | None) -> dict[str, int]:
    read, write, heard, spoken = (count_in(row, name) or None for name in _CLASSES)
    counts = Counts(count_in(row, "prompt_tokens"), count_in(row, "completion_tokens"), read, write)
    units = disjoint(counts, cache_inside=provider not in CACHE_OUTSIDE)
    for whole, part, count in (("input_tokens", "audio_input_tokens", heard),
                               ("output_tokens", "audio_output_tokens", spoken)):  # fmt: skip
        if count is None:
            continue
        if count > units.get(whole, 0):
            raise EventRefused("usage", part, count, f"it is part of {units.get(whole, 0)}: bring the row as it was")
        units[whole] -= count
        units[part] = count
    return units


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {})


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX, needs_source=True)
