"""Anthropic's cost analytics: the JSON of `/v1/organizations/analytics/cost`.

A row is `starting_at`, `ending_at`, `group` (what it was asked to be split by) and `cost`; rows may also stand as
`results` of a bucket. `amount` is after discounts and before credits, `list_amount` what the price list says, both
texts of CENTS with a fraction. What a discount takes off the list is a line of its own (`list_prices`). Credits are not
in it, tax is not. Rows by `rbac_group_id` overlap (a user in two groups counts in both) and are refused: their sum is
no bill. Fields: the API's reference of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.invoices.anthropic_costs import dollars, kind_and_unit
from billing.invoices.anthropic_terms import CONTEXT_WINDOWS, CURRENCY, FOLDS, SPEEDS, VENDOR, one_of, tier_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import object_at, objects_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.list_prices import at_list_price
from billing.invoices.openai_days import count_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import bucket_utc_day
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

_PAGE_KEYS = {"data", "has_more", "next_page", "data_refreshed_at"}
_TIMES = {"starting_at", "ending_at"}
_OVERLAP = "rbac_group_id"
GROUPS = {
    "actor", "actor_type", "agent_id", "api_key_id", "claude_tag_category", "claude_tag_user_id", "context_window",
    "cost_type", "deployment_id", "environment_id", "inference_geo", "model", "organization_id", "product", _OVERLAP,
    "service_tier", "session_id", "slack_channel_id", "speed", "token_type", "user_profile_id", "workspace_id",
}  # fmt: skip
"""The dimensions of `group_by[]`."""
_COST_KEYS = {"amount", "list_amount", "currency", "requests"}


@dataclass(frozen=True)
class AnalyticsCost:
    """Pages of the analytics API: one page, a list of pages, or a page a line."""

    vendor: str = VENDOR
    format: str = "anthropic.analytics_cost"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `anthropic_terms.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By the keys of its first row."""
        rows = (source.first_page or {}).get("data")
        for row in rows if isinstance(rows, list) else []:
            results = row.get("results") if isinstance(row, dict) else None
            found = results[0] if isinstance(results, list) and results else row
            if isinstance(found, dict) and isinstance(found.get("cost"), dict) and "group" in found:
                return "rows with a group and a cost of amount and list_amount, as Anthropic's cost analytics answers"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """Every row of every page; a bucket without rows covers its day."""
        for at, page in pages_of(source):
            here = at or "the page"
            only_known(source, here, page, _PAGE_KEYS)
            for place, row in objects_at(source, here, page, "data", at):
                day = bucket_utc_day(source.name, place, row.get("starting_at"), row.get("ending_at"), whole=False)
                yield CoveredDay(day, place)
                if "results" not in row:
                    yield from _lines(source, place, day, row, _TIMES)
                    continue
                only_known(source, place, row, {*_TIMES, "results"})
                for where, result in objects_at(source, place, row, "results", f"{place}."):
                    yield from _lines(source, where, day, result, set())


def _lines(source: SourceFile, place: str, day: date, row: Json, beside: set[str]) -> Iterator[VendorLine]:
    only_known(source, place, row, {"group", "cost", *beside})
    group, cost = _group(source, place, row), object_at(source, place, row, "cost")
    only_known(source, f"{place}.cost", cost, _COST_KEYS)
    if cost.get("currency") != CURRENCY:
        remedy = Sentence("amounts are in cents of %(currency)s; another scale is not known", currency=CURRENCY)
        raise InvoiceRefused.at(source.name, place, "cost.currency", cost.get("currency"), remedy)
    if cost.get("requests") is not None:
        count_of(source.name, place, "cost.requests", cost["requests"])
    amount = dollars(source.name, place, "cost.amount", cost.get("amount"))
    listed = cost.get("list_amount")
    list_amount = amount if listed is None else dollars(source.name, place, "cost.list_amount", listed)
    model = text_of(source.name, place, "group.model", group.get("model"))
    kind, unit = kind_and_unit(source, place, group, model)
    if amount < 0 and kind in {LineKind.USAGE, LineKind.TOTAL}:
        kind = LineKind.CREDIT
    line = VendorLine(
        place=place,
        day=day,
        kind=kind,
        text=" / ".join(str(group[name]) for name in sorted(group) if group[name] is not None)[:512] or None,
        account=text_of(source.name, place, "group.workspace_id", group.get("workspace_id")),
        model=model,
        unit=unit,
        service_tier=tier_of(source.name, place, "group.service_tier", group.get("service_tier")),
        amount=amount,
        currency=CURRENCY,
    )
    yield from at_list_price(line, list_amount)


def _group(source: SourceFile, place: str, row: Json) -> Json:
    """What the row was split by, its words checked."""
    group = object_at(source, place, row, "group")
    only_known(source, f"{place}.group", group, GROUPS)
    if group.get(_OVERLAP) is not None:
        remedy = "rows of these groups overlap and add up to no bill: ask without it in group_by"
        raise InvoiceRefused.at(source.name, place, f"group.{_OVERLAP}", group[_OVERLAP], remedy)
    one_of(source.name, place, "group.context_window", group.get("context_window"), CONTEXT_WINDOWS)
    one_of(source.name, place, "group.speed", group.get("speed"), SPEEDS)
    for name in GROUPS:
        text_of(source.name, place, f"group.{name}", group.get(name))
    return group
