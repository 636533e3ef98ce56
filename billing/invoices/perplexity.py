"""Perplexity's own cost of each answer (`usage.cost`, US dollars): the vendor's record, as no invoice is exported.

A line of JSON an answer, with `id`, `model`, `created` (unix seconds, UTC) and `usage`. Answers carry what people asked
and read; nothing of that belongs into the books, so an answer with its text is refused: keep the four fields only.
The parts of a cost must add up to `total_cost`. Reasoning and citation tokens with a cost of their own are units of
their own; where they have none they stand inside output. Fields: the API's reference and real answers of 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import FLOAT_DIGITS
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import object_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_days import count_of, decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import YEARS
from billing.money import exact, plain
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

_ANSWER_KEYS = {"id", "model", "created", "object", "usage"}
_PARTS = {
    "input_tokens_cost": ("input_tokens", "prompt_tokens"),
    "output_tokens_cost": ("output_tokens", "completion_tokens"),
    "citation_tokens_cost": ("citation_tokens", "citation_tokens"),
    "reasoning_tokens_cost": ("reasoning_tokens", "reasoning_tokens"),
    "search_queries_cost": ("web_searches", "num_search_queries"),
    "request_cost": ("requests", None),
}
"""Each part of the cost: our unit, and the field that counts it (a request is one answer)."""
_USAGE_KEYS = {
    "cost", "prompt_tokens", "completion_tokens", "total_tokens", "search_context_size", "citation_tokens",
    "num_search_queries", "reasoning_tokens",
}  # fmt: skip
_CURRENCY = "USD"
_SECONDS_MAX = 2**33


@dataclass(frozen=True)
class AnswerCosts:
    """Answers with their cost, a line each."""

    vendor: str = "perplexity"
    format: str = "perplexity.answer_costs"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """Nothing: what is told apart has a cost of its own."""
        return {}

    def recognise(self, source: SourceFile) -> str | None:
        """By the cost within the usage of the first answer."""
        usage = (source.first_page or {}).get("usage")
        cost = usage.get("cost") if isinstance(usage, dict) else None
        if isinstance(cost, dict) and {"request_cost", "total_cost"} <= set(cost):
            return "answers whose usage has a cost with request_cost and total_cost, as Perplexity writes"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line for each part of each answer's cost. The same answer twice refuses the file."""
        seen: dict[str, str] = {}
        for at, answer in pages_of(source):
            place = at.rstrip(": ") or "the document"
            for name in answer.keys() - _ANSWER_KEYS:
                raise InvoiceRefused.at(
                    source.name,
                    place,
                    Sentence("key"),
                    name,
                    Sentence("keep %(known)s only, no text of answers", known=", ".join(sorted(_ANSWER_KEYS))),
                )
            answer_id = text_of(source.name, place, "id", answer.get("id"))
            if answer_id is None or answer_id in seen:
                again = Sentence("it stands in %(place)s too", place=seen.get(answer_id or ""))
                remedy = "an answer names its id" if answer_id is None else again
                raise InvoiceRefused.at(source.name, place, "id", answer_id, remedy)
            seen[answer_id] = place
            yield from _lines(source, place, answer, answer_id)


def _lines(source: SourceFile, place: str, answer: Json, answer_id: str) -> Iterator[VendorLine | CoveredDay]:
    day = _day(source, place, answer.get("created"))
    yield CoveredDay(day, place)
    model = text_of(source.name, place, "model", answer.get("model"))
    if model is None:
        raise InvoiceRefused.at(source.name, place, "model", None, "an answer names its model")
    usage = object_at(source, place, answer, "usage")
    only_known(source, f"{place}, usage", usage, _USAGE_KEYS)
    cost = object_at(source, f"{place}, usage", usage, "cost")
    only_known(source, f"{place}, usage.cost", cost, {*_PARTS, "total_cost"})
    parts = {
        name: decimal_of(source.name, place, f"usage.cost.{name}", cost[name])
        for name in _PARTS
        if cost.get(name) is not None
    }
    _check_total(source, place, cost, parts)
    for name, amount in parts.items():
        unit, counted = _PARTS[name]
        quantity = 1 if counted is None else count_of(source.name, place, f"usage.{counted}", usage.get(counted))
        if quantity or amount:
            yield VendorLine(
                place=place,
                day=day,
                kind=LineKind.USAGE,
                text=f"{answer_id} / {name}",
                model=model,
                unit=unit,
                quantity=Decimal(quantity),
                quantity_step=Decimal(1),
                amount=amount,
                currency=_CURRENCY,
            )


def _check_total(source: SourceFile, place: str, cost: Json, parts: Mapping[str, Decimal]) -> None:
    """The parts are the total, but for the noise of binary doubles in the vendor's sum."""
    stated = decimal_of(source.name, place, "usage.cost.total_cost", cost.get("total_cost"))
    with exact():
        added = sum(parts.values(), Decimal(0))
        noise = max(abs(stated), abs(added)).scaleb(1 - FLOAT_DIGITS)
        if abs(added - stated) > noise:
            raise InvoiceRefused.at(
                source.name,
                place,
                "usage.cost.total_cost",
                stated,
                Sentence("the parts add up to %(sum)s", sum=plain(added)),
            )


def _day(source: SourceFile, place: str, created: object) -> date:
    seconds = count_of(source.name, place, "created", created)
    if seconds < _SECONDS_MAX and (day := datetime.fromtimestamp(seconds, UTC).date()).year in YEARS:
        return day
    raise InvoiceRefused.at(source.name, place, "created", created, "these are unix seconds of an answer")
