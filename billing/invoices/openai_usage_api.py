"""OpenAI's usage API: the JSON pages of `/v1/organization/usage/completions`. Tokens by day and model, no money.

Buckets are those of the costs API, results have the fields of the dashboard's usage export and are read by its rules
(`openai_usage`): input is inclusive, its parts must add up to it. What a result was not grouped by is null; without a
model its tokens cannot be priced, and it refuses. Fields: the API's reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import objects_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, VendorLine
from billing.invoices.openai_days import bucket_day
from billing.invoices.openai_items import FOLDS
from billing.invoices.openai_usage import RESULT_FIELDS, TOKEN_FIELDS, lines_of_row
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.invoices.source import SourceFile

RESULT = "organization.usage.completions.result"
_PAGE_KEYS = {"object", "data", "has_more", "next_page"}
_BUCKET_KEYS = {"object", "start_time", "end_time", "start_time_iso", "end_time_iso", "results"}
_RESULT_KEYS = RESULT_FIELDS | {"object"}
_COUNTS = TOKEN_FIELDS | {"num_model_requests"}
_BOOLEANS = {True: "true", False: "false"}


@dataclass(frozen=True)
class UsageApi:
    """Pages of the usage API: one page, a list of pages, or a page a line."""

    vendor: str = "openai"
    format: str = "openai.usage_api"
    kind: FileKind = FileKind.USAGE

    @property
    def folds(self) -> Mapping[str, str]:
        """See `openai_items.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By the object name of its first result. Pages without any result are taken for the costs API's."""
        page = source.first_page
        if page is None or page.get("object") != "page" or _first_object(page) != RESULT:
            return None
        return "a page of daily buckets whose results count tokens, as the usage API answers"

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line for each unit of a result that is not zero."""
        for at, page in pages_of(source):
            here = at or "the page"
            only_known(source, here, page, _PAGE_KEYS)
            for place, bucket in objects_at(source, here, page, "data", at):
                only_known(source, place, bucket, _BUCKET_KEYS)
                day = bucket_day(source.name, place, bucket.get("start_time"), bucket.get("end_time"), whole=False)
                yield CoveredDay(day, place)
                for where, result in objects_at(source, place, bucket, "results", f"{place}."):
                    only_known(source, where, result, _RESULT_KEYS)
                    told = result.get("object")
                    if told != RESULT:
                        raise InvoiceRefused.at(
                            source.name, where, "object", told, Sentence("unknown; known is %(known)s", known=RESULT)
                        )
                    yield from lines_of_row(source, where, day, _cells(source, where, result))


def _first_object(page: Json) -> object:
    buckets = page.get("data")
    for bucket in buckets if isinstance(buckets, list) else []:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if isinstance(results, list) and results and isinstance(results[0], dict):
            return results[0].get("object")
    return None


def _cells(source: SourceFile, place: str, result: Json) -> dict[str, str]:
    """The result as the export's row has it: text, blank where nothing is told. Counts are numbers, names are texts."""
    cells = {}
    for name, value in result.items():
        is_count = type(value) in {int, Decimal} and name in _COUNTS
        is_name = isinstance(value, str) and name not in _COUNTS | {"batch"}
        if value is None or is_count or is_name:
            cells[name] = "" if value is None else str(value)
        elif isinstance(value, bool) and name == "batch":
            cells[name] = _BOOLEANS[value]
        else:
            raise InvoiceRefused.at(source.name, place, name, value, "counts are whole numbers, names are texts")
    return {"model": "", **cells}
