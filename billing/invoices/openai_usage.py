"""The dashboard's usage CSV: tokens by day and model, no money.

`input_tokens` is INCLUSIVE of cached and cache-write tokens; the parts are disjoint. Each row must satisfy
input = uncached + cached + cache write, or the file is refused: a broken sum means a column is not what we take it for.
Whole numbers are written as floats ("59200.0"), booleans as FALSE, and one (day, model, key) may stand in several rows,
which are added up. A blank row covers its day without saying anything about it. Source: OpenAI's API reference for the
result's fields, and a real export of 2025-10 for the spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_days import bucket_day, count_of
from billing.invoices.openai_items import FOLDS
from billing.invoices.texts import text_of
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

TOKEN_FIELDS = {
    "input_tokens", "output_tokens", "input_cached_tokens", "input_uncached_tokens", "input_cache_write_tokens",
    "input_cache_write_30m_tokens", "input_cache_write_12h_tokens", "input_text_tokens", "output_text_tokens",
    "input_cached_text_tokens", "input_audio_tokens", "input_cached_audio_tokens", "output_audio_tokens",
    "input_image_tokens", "input_cached_image_tokens", "output_image_tokens",
}  # fmt: skip
RESULT_FIELDS = TOKEN_FIELDS | {
    "project_id", "project_name", "num_model_requests", "user_id", "api_key_id", "api_source", "model", "batch",
    "service_tier", "organization_id", "organization_name",
}  # fmt: skip
_COLUMNS = RESULT_FIELDS | {"start_time", "end_time", "start_time_iso", "end_time_iso"}
_REQUIRED = ("start_time", "end_time", "model", "input_tokens", "output_tokens", "input_cached_tokens")
_TIERS = {
    "": "standard",
    "default": "standard",
    "standard": "standard",
    "auto": "standard",
    "scale": "priority",
    "priority": "priority",
    "flex": "flex",
    "batch": "batch",
}
_MODALITIES = ("text", "audio", "image")


@dataclass(frozen=True)
class UsageCsv:
    """The dashboard's usage export."""

    vendor: str = "openai"
    format: str = "openai.usage_csv"
    kind: FileKind = FileKind.USAGE

    @property
    def folds(self) -> Mapping[str, str]:
        """See `openai_items.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header."""
        header = set(header_of(source))
        if {"start_time", "model", "input_tokens"} <= header and "amount_value" not in header:
            return "a CSV whose header has start_time, model and input_tokens, as the dashboard's usage export writes"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line for each unit of a row that is not zero."""
        for place, row in rows_of(source, _COLUMNS, _REQUIRED):
            day = bucket_day(source.name, place, row["start_time"], row["end_time"], whole=False)
            yield CoveredDay(day, place)
            if not any(row[name] for name in row.keys() & (TOKEN_FIELDS | {"model"})):
                continue
            yield from lines_of_row(source, place, day, row)


def lines_of_row(source: SourceFile, place: str, day: date, row: Mapping[str, str]) -> Iterator[VendorLine]:
    """A line for each unit of a row of a model that is not zero; cells are texts, blank where nothing is told."""
    model = text_of(source.name, place, "model", row["model"])
    account = text_of(source.name, place, "project_id", row.get("project_id"))
    if model is None:
        raise InvoiceRefused.at(
            source.name, place, "model", None, "group the export by model, so that units can be priced"
        )
    tier = _tier(source, place, row)
    for unit, quantity in _units(source, place, row).items():
        if quantity:
            yield VendorLine(
                place=place,
                day=day,
                kind=LineKind.QUANTITY,
                text=None,
                account=account,
                model=model,
                unit=unit,
                service_tier=tier,
                quantity=Decimal(quantity),
                quantity_step=Decimal(1),
            )


def _tier(source: SourceFile, place: str, row: Mapping[str, str]) -> str | None:
    """batch TRUE says batch; else the tier's own column; None where the export was grouped by neither."""
    batch, tier = row.get("batch", "").lower(), row.get("service_tier", "").lower()
    if batch not in {"", "true", "false"}:
        raise InvoiceRefused.at(source.name, place, "batch", row["batch"], "this is TRUE, FALSE or blank")
    if tier not in _TIERS:
        raise InvoiceRefused.at(source.name, place, "service_tier", row["service_tier"], "this tier is not known")
    if batch == "true":
        return "batch"
    return _TIERS[tier] if batch or tier else None


def _units(source: SourceFile, place: str, row: Mapping[str, str]) -> dict[str, int]:
    """The row's disjoint units. Raises InvoiceRefused where the parts do not add up to the inclusive counts."""

    def told(name: str) -> int | None:
        return count_of(source.name, place, name, row[name]) if row.get(name) else None

    inclusive, cached, output = told("input_tokens"), told("input_cached_tokens") or 0, told("output_tokens")
    if inclusive is None or output is None:
        raise InvoiceRefused.at(source.name, place, "input_tokens", None, "a row of a model tells its input and output")
    written = told("input_cache_write_tokens") or 0
    uncached = told("input_uncached_tokens")
    uncached = inclusive - cached - written if uncached is None else uncached
    if inclusive != uncached + cached + written or uncached < 0:
        raise InvoiceRefused.at(
            source.name,
            place,
            "input_tokens",
            row["input_tokens"],
            Sentence(
                "it must be uncached %(uncached)s + cached %(cached)s + cache "
                "write %(written)s; export all token columns",
                uncached=uncached,
                cached=cached,
                written=written,
            ),
        )
    units: dict[str, int] = {"cache_write_tokens": written}
    cached_parts = _split({name: told(f"input_cached_{name}_tokens") for name in _MODALITIES}, cached)
    cached_parts = cached_parts or {"text": cached}
    fresh = {name: told(f"input_{name}_tokens") for name in _MODALITIES}
    fresh_parts = _split(fresh, uncached) or _split(_less(fresh, cached_parts), uncached) or _untold(fresh, uncached)
    output_parts = {name: told(f"output_{name}_tokens") for name in _MODALITIES}
    spoken_parts = _split(output_parts, output) or _untold(output_parts, output)
    if fresh_parts is None or spoken_parts is None:
        field = "input_text_tokens" if fresh_parts is None else "output_text_tokens"
        raise InvoiceRefused.at(
            source.name,
            place,
            field,
            row.get(field),
            "text, audio and image do not add up to the whole; ask for the export again",
        )
    for name in _MODALITIES:
        modality = "" if name == "text" else f"{name}_"
        units[f"{modality}input_tokens"] = fresh_parts.get(name, 0)
        units[f"cache_read_{modality}tokens"] = cached_parts.get(name, 0)
        units[f"{modality}output_tokens"] = spoken_parts.get(name, 0)
    return units


def _split(parts: Mapping[str, int | None], whole: int) -> dict[str, int] | None:
    """The parts, where at least one is told, none is negative and they add up to the whole."""
    told = {name: count for name, count in parts.items() if count is not None}
    return told if told and min(told.values()) >= 0 and sum(told.values()) == whole else None


def _less(parts: Mapping[str, int | None], cached: Mapping[str, int]) -> dict[str, int | None]:
    """Older exports count cached tokens inside each modality (API reference before 2026): take them off."""
    return {name: None if count is None else count - cached.get(name, 0) for name, count in parts.items()}


def _untold(parts: Mapping[str, int | None], whole: int) -> dict[str, int] | None:
    """Where no modality is told, all of it counts as text, which is how the vendor bills what it does not split."""
    return None if any(parts.values()) else {"text": whole}
