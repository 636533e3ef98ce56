"""xAI's management API: the preview of the month's invoice, and the list of invoices of that shape. Months, no days.

Money is a text of US CENTS ("1250" is 12.50 dollars). A line names a model ("API grok-4.3"), what was counted
(`unitType`), how many (`numUnits`, whole tokens) and the amount. Prepaid credit is how a month is paid, not what it
costs, and stands apart. Lines are put on the month's last day; the month is taken as UTC.
The lines must add up to `totalWithCorr`; where they do not, something was billed that no line tells, and the file is
refused. So is a credit that was issued (`autoCreditsIssued`, `defaultCreditsIssued`): its sign is not documented.
Fields: the API's reference names the objects, real answers of 2026 the lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import object_at, objects_at, only_known
from billing.invoices.lines import UNMAPPED, CoveredDay, FileKind, LineKind, StatedTotal, VendorLine
from billing.invoices.openai_days import count_of, decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import month_days
from billing.money import exact, plain
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from billing.invoices.source import SourceFile

_INVOICE_KEYS = {
    "coreInvoice", "billingCycle", "effectiveSpendingLimit", "defaultCredits", "teamId", "invoiceId", "invoiceNumber",
    "createTime",
}  # fmt: skip
_CORE_KEYS = {
    "lines", "amountBeforeVat", "amountAfterVat", "vatCost", "amountBeforeVatLimited", "amountBeforeVatUnlimited",
    "amountBeforeVatLimitedAndUnlimited", "autoCreditsIssued", "defaultCreditsIssued", "totalWithCorr",
    "prepaidCredits", "prepaidCreditsUsed",
}  # fmt: skip
_LINE_KEYS = {"description", "unitType", "numUnits", "amount"}
_UNITS = {
    "prompt text tokens": "input_tokens",
    "cached prompt text tokens": "cache_read_tokens",
    "prompt image tokens": "image_input_tokens",
    "completion text tokens": "output_tokens",
    "reasoning text tokens": "reasoning_tokens",
    "reasoning tokens": "reasoning_tokens",
    "generated image": "images",
    "image edit input images": "input_images",
    "web searches": "web_searches",
    "x searches": "x_searches",
    "code executions": "code_executions",
}
_SURFACES = ("API ", "Chat ")
_CURRENCY = "USD"


@dataclass(frozen=True)
class Invoice:
    """The preview of a month's invoice, or a list of invoices."""

    vendor: str = "x-ai"
    format: str = "x-ai.invoice"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """Nothing: reasoning is a line of its own."""
        return {}

    def recognise(self, source: SourceFile) -> str | None:
        """By the name of its object."""
        page = source.first_page
        if page is None:
            return None
        listed = page.get("invoices")
        first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else page
        if "coreInvoice" not in first:
            return None
        return "a document with coreInvoice, as xAI's management API answers"

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay | StatedTotal]:
        """The lines of each invoice, and its tax."""
        for at, page in pages_of(source):
            if "invoices" not in page:
                yield from _invoice(source, at, page)
                continue
            only_known(source, at or "the document", page, {"invoices"})
            for place, invoice in objects_at(source, at or "the document", page, "invoices", at):
                yield from _invoice(source, f"{place}.", invoice)


def _invoice(source: SourceFile, at: str, invoice: Json) -> Iterator[VendorLine | CoveredDay | StatedTotal]:
    place = at.rstrip(".: ") or "the document"
    only_known(source, place, invoice, _INVOICE_KEYS)
    cycle = object_at(source, place, invoice, "billingCycle")
    days = month_days(source.name, place, "billingCycle", cycle.get("year"), cycle.get("month"))
    yield from (CoveredDay(day, place) for day in days)
    core = object_at(source, place, invoice, "coreInvoice")
    here = f"{at}coreInvoice"
    only_known(source, here, core, _CORE_KEYS)
    lines = [
        _line(source, where, days, line) for where, line in objects_at(source, here, core, "lines", f"{here}.")
    ]
    tax = _dollars(source, here, "vatCost", "0" if core.get("vatCost") is None else core["vatCost"])
    stated = _stated(source, here, core, lines, tax)
    yield from lines
    if tax:
        yield VendorLine(here, days[-1], LineKind.TAX, "vatCost", amount=tax, currency=_CURRENCY)
    if stated is not None:
        yield StatedTotal(f"{here}.totalWithCorr", days[0], days[-1], stated, _CURRENCY)


def _line(source: SourceFile, place: str, days: Sequence[date], line: Json) -> VendorLine:
    only_known(source, place, line, _LINE_KEYS)
    text = text_of(source.name, place, "description", line.get("description"))
    counted = line.get("unitType")
    if counted is None and text is not None:
        return _unread(source, place, days, line, text)
    if not isinstance(counted, str) or counted.strip().lower() not in _UNITS:
        raise InvoiceRefused.at(
            source.name,
            place,
            "unitType",
            counted,
            Sentence("unknown; known are %(known)s", known=", ".join(sorted(_UNITS))),
        )
    unit = _UNITS[counted.strip().lower()]
    surface = next((name for name in _SURFACES if text is not None and text.startswith(name)), None)
    model = None if text is None or surface is None else text.removeprefix(surface).strip()
    if model is None and unit.endswith("_tokens"):
        raise InvoiceRefused.at(
            source.name, place, "description", text, 'a line of tokens names its model, as in "API grok-4.3"'
        )
    amount = _dollars(source, place, "amount", line.get("amount"))
    return VendorLine(
        place=place,
        day=days[-1],
        kind=LineKind.CREDIT if amount < 0 else LineKind.USAGE,
        text=text_of(source.name, place, "line", " / ".join(part for part in (text, counted.strip()) if part)),
        model=model,
        unit=unit,
        quantity=Decimal(count_of(source.name, place, "numUnits", line.get("numUnits"))),
        quantity_step=Decimal(1),
        amount=amount,
        currency=_CURRENCY,
    )


def _unread(source: SourceFile, place: str, days: Sequence[date], line: Json, text: str) -> VendorLine:
    """A line that does not say what it counts: money for use by its wording, or a credit."""
    amount = _dollars(source, place, "amount", line.get("amount"))
    if amount < 0:
        return VendorLine(place, days[-1], LineKind.CREDIT, text, amount=amount, currency=_CURRENCY)
    return VendorLine(
        place, days[-1], LineKind.USAGE, text, model=text, unit=UNMAPPED, amount=amount, currency=_CURRENCY
    )


def _stated(
    source: SourceFile, place: str, core: Json, lines: Sequence[VendorLine], tax: Decimal
) -> Decimal | None:
    """The stated total with the stated tax; None where none is stated.

    Whether it holds the tax is not documented: it must be the lines, without tax or with it.
    """
    for name in ("autoCreditsIssued", "defaultCreditsIssued"):
        if core.get(name) is not None and _dollars(source, place, name, core[name]):
            raise InvoiceRefused.at(
                source.name, place, name, core[name], "how an issued credit is signed is not known; it counts"
            )
    if core.get("totalWithCorr") is None:
        return None
    total = object_at(source, place, core, "totalWithCorr")
    only_known(source, f"{place}.totalWithCorr", total, {"val"})
    stated = _dollars(source, place, "totalWithCorr.val", total.get("val"))
    with exact():
        added = sum((line.amount for line in lines if line.amount is not None), Decimal(0))
        with_tax = added + tax
    if stated not in {added, with_tax}:
        raise InvoiceRefused.at(
            source.name,
            place,
            "totalWithCorr.val",
            total.get("val"),
            Sentence("the lines add up to %(sum)s dollars", sum=plain(added)),
        )
    with exact():
        return stated if stated == with_tax else stated + tax


def _dollars(source: SourceFile, place: str, field: str, cents: object) -> Decimal:
    """Dollars from a text of cents. A number is refused: it would be another scale."""
    if not isinstance(cents, str):
        raise InvoiceRefused.at(source.name, place, field, cents, 'this is a text of cents, as in "1250" for 12.50')
    with exact():
        return decimal_of(source.name, place, field, cents) * Decimal("0.01")
