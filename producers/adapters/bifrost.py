"""`bifrost`: rows of Bifrost's request log. Counts are inclusive, as OpenAI's are; `cost` is in USD.

Each fallback has a row of its own and is a charge of its own; a row that was retried is one with another number of
retries. The identity is therefore `ID:FALLBACK:RETRIES`. A row that is still processing is refused: bring it when it
has ended.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from producers.adapters import rows
from producers.adapters.base import LONG_LINE_BYTES_MAX, Adapter, Options, keep_only
from producers.adapters.inclusive import Counts, count_in, disjoint
from producers.adapters.provider_names import provider_named
from producers.contract import EventRefused

if TYPE_CHECKING:
    from producers.contract import UsageEvent

DOLLAR: Final = Decimal(1)
ENDED: Final = {"success": False, "error": True, "failure": True}
_KEPT: Final = ("id", "parent_request_id", "timestamp", "object_type", "provider", "model", "number_of_retries",
                "fallback_index", "selected_key_id", "virtual_key_id", "cost", "status", "prompt_tokens",
                "completion_tokens", "total_tokens")  # fmt: skip


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one row. Raises EventRefused."""
    row = rows.read_row(line)
    status = rows.needed(row, "status")
    if status not in ENDED:
        raise EventRefused("invalid", "status", status, "bring rows that have ended: success or error")
    retries = count_in(row, "number_of_retries") or 0
    fallback = count_in(row, "fallback_index") or 0
    data = {
        "model": rows.needed(row, "model"),
        "provider": provider_named(rows.needed(row, "provider")),
        "key": rows.text(row, "virtual_key_id"),
        "account": rows.text(row, "selected_key_id"),
        "operation": rows.text(row, "object_type"),
        "attempt": retries + 1,
        "reported_cost": rows.cost_of(row, "cost", DOLLAR),
    }
    return [
        rows.event_of(
            options,
            f"{rows.needed(row, 'id')}:{fallback}:{retries}",
            rows.moment(row, "timestamp"),
            _units(row),
            data,
            failed=ENDED[status],
        )
    ]


def _units(row: rows.Row) -> dict[str, int]:
    """From `token_usage` with its details, else from the row's own columns, which know input and output only."""
    usage = rows.inside(row, "token_usage") or row
    prompt, answer = rows.inside(usage, "prompt_tokens_details"), rows.inside(usage, "completion_tokens_details")
    return disjoint(
        Counts(
            count_in(usage, "prompt_tokens"),
            count_in(usage, "completion_tokens"),
            count_in(prompt, "cached_read_tokens", "cached_tokens"),
            count_in(prompt, "cached_write_tokens", "cache_creation_tokens"),
            count_in(answer, "reasoning_tokens"),
        )
    )


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {})


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX, needs_source=True)
