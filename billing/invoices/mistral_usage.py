"""Mistral's Admin API, `/api/admin/usage`: a month's use by category, model and day, with the prices it was billed at.

An entry has what was used (`value`) and what of it is paid (`value_paid`), by `billing_metric` (the dated model) and
`billing_group` (input, output, cached); `prices` has the price of one. Money is paid x price in `currency`; what is
included in a plan is a credit beside the use. Categories that count no tokens of a chat (OCR, audio, connectors,
libraries, fine-tuning) are fees by their name. Categories and dates: the vendor's reference of the API; the shape of
entries and prices: seen in real answers, not documented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import object_at, objects_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.money_cells import OneCurrency
from billing.invoices.openai_days import decimal_of
from billing.invoices.texts import text_of
from billing.invoices.token_meters import FOLDS
from billing.invoices.vendor_times import calendar_day, instant
from billing.money import exact
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

_USE = ("chat", "completion")
_FEES = ("ocr", "audio", "connectors")
_NESTED = {"vibe_code": ("completion",), "libraries_api": ("pages", "tokens"), "fine_tuning": ("training", "storage")}
_ABOUT = {"date", "previous_month", "next_month", "start_date", "end_date", "currency", "currency_symbol", "prices"}
_KEYS = {*_USE, *_FEES, *_NESTED, *_ABOUT, "vibe_usage"}
_GROUPS = {"input": "input_tokens", "output": "output_tokens", "cached": "cache_read_tokens"}
_ENTRY_KEYS = {
    "usage_type", "event_type", "billing_metric", "billing_display_name", "billing_group", "timestamp", "value",
    "value_paid",
}  # fmt: skip
_PRICE_KEYS = {"event_type", "billing_metric", "billing_group", "price"}
_TOKENS = "api_tokens"


class Priced(NamedTuple):
    """What a price is for."""

    event_type: str
    metric: str
    group: str


@dataclass(frozen=True)
class AdminUsage:
    """The answer for one month; several answers (a workspace each) stand in one file as a list."""

    vendor: str = "mistral"
    format: str = "mistral.admin_usage"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `token_meters.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its categories and its prices."""
        page = source.first_page
        if page is not None and {"completion", "prices", "start_date", "end_date"} <= page.keys():
            return "a document with completion, prices, start_date and end_date, as Mistral's Admin API answers"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """Use, what a plan includes of it, and fees; every day of the month."""
        currency = OneCurrency(source, "currency")
        for at, page in pages_of(source):
            place = at.rstrip(".: ") or "the document"
            only_known(source, place, page, _KEYS)
            vibe = page.get("vibe_usage")
            if vibe is not None and decimal_of(source.name, place, "vibe_usage", vibe):
                raise InvoiceRefused.at(source.name, place, "vibe_usage", vibe, "what it counts is not documented")
            written = page.get("currency")
            month = _Month(
                source, at, _prices(source, at, page), currency.of(place, written if isinstance(written, str) else ""),
                _days(source, place, page),
            )  # fmt: skip
            yield from (CoveredDay(day, place) for day in month.days)
            for name in (*_USE, *_FEES):
                yield from month.category(page, name, name in _USE)
            for name, parts in _NESTED.items():
                if page.get(name) is None:
                    continue
                nest = object_at(source, place, page, name)
                only_known(source, f"{at}{name}", nest, parts)
                for part in parts:
                    yield from month.category(nest, part, name == "vibe_code", f"{name}.", flat=name == "fine_tuning")


@dataclass(frozen=True)
class _Month:
    """One answer: its prices by what they are for, its currency and its days."""

    source: SourceFile
    at: str
    prices: Mapping[Priced, Decimal]
    currency: str
    days: tuple[date, ...]

    def category(
        self, holder: Json, name: str, is_use: bool, within: str = "", *, flat: bool = False
    ) -> Iterator[VendorLine]:
        """The lines of a category; none where it is not there. `flat`: models stand in it without `models`."""
        if holder.get(name) is None:
            return
        here = f"{self.at}{within}{name}"
        found = object_at(self.source, self.at.rstrip(".: ") or "the document", holder, name)
        if not flat:
            only_known(self.source, here, found, {"models"})
            found = object_at(self.source, here, found, "models")
        for model in found:
            groups = object_at(self.source, here, found, model)
            only_known(self.source, f"{here}[{model}]", groups, _GROUPS)
            for group in groups:
                if groups[group] is None:
                    continue
                for place, entry in objects_at(self.source, here, groups, group, f"{here}[{model}]."):
                    yield from self._lines(place, entry, group, f"{within}{name}", is_use)

    def _lines(self, place: str, entry: Json, group: str, category: str, is_use: bool) -> Iterator[VendorLine]:
        only_known(self.source, place, entry, _ENTRY_KEYS)
        metric, event = self._text(place, entry, "billing_metric"), self._text(place, entry, "event_type")
        if self._text(place, entry, "billing_group") != group:
            raise self._refused(
                place, "billing_group", entry["billing_group"], Sentence("it stands under %(group)s", group=group)
            )
        if self._text(place, entry, "usage_type") != "usage":
            raise self._refused(place, "usage_type", entry["usage_type"], "unknown; known is usage")
        day = calendar_day(self.source.name, place, "timestamp", entry.get("timestamp"))
        if day not in self.days:
            raise self._refused(
                place,
                "timestamp",
                day,
                Sentence("the answer is for %(first)s to %(last)s", first=self.days[0], last=self.days[-1]),
            )
        used, paid = (decimal_of(self.source.name, place, name, entry.get(name)) for name in ("value", "value_paid"))
        if not 0 <= paid <= used:
            raise self._refused(
                place, "value_paid", paid, Sentence("it is from 0 to value, which is %(used)s", used=used)
            )
        price = self.prices.get(Priced(event, metric, group))
        if price is None and (paid or is_use):
            raise self._refused(
                place,
                "billing_metric",
                metric,
                Sentence("prices has none for %(event)s %(metric)s %(group)s", event=event, metric=metric, group=group),
            )
        with exact():
            amount, included = used * (price or 0), (used - paid) * (price or 0)
        text = " / ".join((category, str(entry.get("billing_display_name") or metric), group))[:512]
        if not is_use:
            yield VendorLine(place, day, LineKind.FEE, text, amount=amount, currency=self.currency)
        elif event != _TOKENS:
            raise self._refused(
                place,
                "event_type",
                event,
                Sentence("unknown in %(category)s; known is %(known)s", category=category, known=_TOKENS),
            )
        else:
            yield VendorLine(
                place, day, LineKind.USAGE, text, model=metric, unit=_GROUPS[group], quantity=used,
                quantity_step=Decimal(1), amount=amount, currency=self.currency,
            )  # fmt: skip
        if included:
            words = f"included: {text}"[:512]
            yield VendorLine(place, day, LineKind.CREDIT, words, amount=-included, currency=self.currency)

    def _text(self, place: str, entry: Json, name: str) -> str:
        found = text_of(self.source.name, place, name, entry.get(name))
        if found is None:
            raise self._refused(place, name, None, "an entry names it")
        return found

    def _refused(self, place: str, name: str, value: object, remedy: str) -> InvoiceRefused:
        return InvoiceRefused.at(self.source.name, place, name, value, remedy)


def _prices(source: SourceFile, at: str, page: Json) -> dict[Priced, Decimal]:
    """The price of one of each. Raises InvoiceRefused where one stands twice."""
    found: dict[Priced, Decimal] = {}
    for place, row in objects_at(source, at.rstrip(".: ") or "the document", page, "prices", at):
        only_known(source, place, row, _PRICE_KEYS)
        fields = ("event_type", "billing_metric", "billing_group")
        key = Priced(*(text_of(source.name, place, name, row.get(name)) or "" for name in fields))
        price = decimal_of(source.name, place, "price", row.get("price"))
        if found.setdefault(key, price) != price or price < 0:
            raise InvoiceRefused.at(
                source.name,
                place,
                "price",
                price,
                Sentence("another price of %(name)s, or below 0", name=" ".join(key)),
            )
    return found


def _days(source: SourceFile, place: str, page: Json) -> tuple[date, ...]:
    """The days from `start_date` to `end_date`, the last second of the last day."""
    first = instant(source.name, place, "start_date", page.get("start_date"))
    last = instant(source.name, place, "end_date", page.get("end_date"))
    days = (last.date() - first.date()).days + 1
    if not 1 <= days <= 31 or first.day != 1 or last.month != first.month:
        raise InvoiceRefused.at(source.name, place, "end_date", page.get("end_date"), "an answer is for one month")
    return tuple(first.date() + timedelta(days=number) for number in range(days))
