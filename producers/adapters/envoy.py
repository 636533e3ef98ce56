"""`envoy`: access logs of Envoy AI Gateway in JSON. Lines that are no call of a model are passed over.

The gateway names a route's reference as provider (`default/azure/route/…/ref/0`), which does not say whose model it is:
`--provider default/azure=azure` does, by the longest beginning of the reference. Without it the line is refused, since
a model's name does not tell OpenAI from Azure. Counts are inclusive, as OpenTelemetry's are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from producers.adapters import rows
from producers.adapters.base import Adapter, Options, keep_only
from producers.adapters.inclusive import Counts, count_in, disjoint
from producers.adapters.otel_spans import CACHE_READ, CACHE_WRITE, INPUT, OUTPUT, REASONING
from producers.adapters.provider_names import provider_named
from producers.contract import EventRefused

if TYPE_CHECKING:
    from producers.contract import UsageEvent

REFERENCE: Final = "gen_ai.provider.name"
MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model_override", "gen_ai.request.model")
CACHED: Final = (*CACHE_READ, "gen_ai.usage.cached_input_tokens")
_KEPT: Final = ("x-request-id", "start_time", "response_code", REFERENCE, *MODEL, *INPUT, *OUTPUT, *CACHED,
                *CACHE_WRITE, *REASONING)  # fmt: skip


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one line, or none. Raises EventRefused."""
    row = {name: value for name, value in rows.read_row(line).items() if value not in (None, "", "-")}
    time = rows.moment(row, "start_time")  # what has none is no line of an access log
    if not any(name in row for name in (*MODEL, *INPUT, *OUTPUT)):
        return []
    counts = Counts(
        count_in(row, *INPUT), count_in(row, *OUTPUT), count_in(row, *CACHED), count_in(row, *CACHE_WRITE),
        count_in(row, *REASONING),
    )  # fmt: skip
    data = {
        "model": rows.needed(row, *MODEL),
        "provider": _provider(row, options),
        "department": rows.text(row, "jangbu.department"),
        "key": rows.text(row, "jangbu.key"),
        "operation": rows.text(row, "gen_ai.operation.name"),
    }
    return [
        rows.event_of(
            options,
            rows.needed(row, "x-request-id"),
            time,
            disjoint(counts),
            data,
            subject=rows.text(row, "user.id"),
            failed=(count_in(row, "response_code") or 0) >= rows.HTTP_ERROR,
        )
    ]


def _provider(row: rows.Row, options: Options) -> str | None:
    """Whose model answered. Raises EventRefused where the reference is not mapped."""
    reference = rows.needed(row, REFERENCE)
    parts = reference.split("/")
    for length in range(len(parts), 0, -1):
        mapped = options.providers.get("/".join(parts[:length]))
        if mapped is not None:
            return mapped
    if len(parts) == 1:
        return provider_named(reference)
    beginning = "/".join(parts[:2])
    raise EventRefused("invalid", REFERENCE, reference, f"say whose it is: --provider {beginning}=openai, azure, …")


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {})


ADAPTER = Adapter(adapt, _redact, needs_source=True)
