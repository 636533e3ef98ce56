"""Naver Cloud's bill by product: the JSON answer of `getProductDemandCostList`. Months in Korean time, won, no tokens.

A row has what was used for, the discounts taken off it and what is demanded; the discounts become credits, a penalty
(`defaultAmount`) a fee, and use - discounts + penalty must be the demand. CLOVA Studio's row is the month's total of
model use; every other product has no use of ours behind it and is a fee. VAT stands in another answer and is not here.
On the first of a month the vendor still shows the month before: the row's own `demandMonth` decides.
Fields: the vendor's data type ProductDemandCost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import object_at, objects_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, StatedTotal, VendorLine
from billing.invoices.openai_days import count_of, decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import month_days
from billing.money import exact, plain
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.invoices.source import SourceFile

_ANSWER = "getProductDemandCostListResponse"
_ROWS = "productDemandCostList"
_ANSWER_KEYS = {_ROWS, "requestId", "returnCode", "returnMessage", "totalRows"}
_DISCOUNTS = (
    "promiseDiscountAmount", "promotionDiscountAmount", "etcDiscountAmount", "productDiscountAmount",
    "creditDiscountAmount", "memberPriceDiscountAmount", "memberPromiseDiscountAddAmount",
)  # fmt: skip
_ROW_KEYS = {
    *_DISCOUNTS, "memberNo", "demandMonth", "productDemandType", "useAmount", "defaultAmount", "demandAmount",
    "writeDate", "currency", "payCurrency", "thisMonthAppliedExchangeRate",
}  # fmt: skip
_CODE_KEYS = {"code", "codeName"}
_MONTH = re.compile(r"(\d{4})(\d\d)")
_MODEL_PRODUCT = "clova studio"
_CURRENCY = "KRW"


@dataclass(frozen=True)
class ProductDemand:
    """The billing API's costs by product and month."""

    vendor: str = "naver"
    format: str = "naver.product_demand"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """Nothing: no unit is told."""
        return {}

    def recognise(self, source: SourceFile) -> str | None:
        """By the name of the answer."""
        return (
            f"a document with {_ANSWER}, as Naver Cloud's billing API answers"
            if _ANSWER in (source.first_page or {})
            else None
        )

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay | StatedTotal]:
        """Use, credits and penalty of each product. A file that holds fewer rows than the vendor has is refused."""
        rows, told = 0, 0
        for at, page in pages_of(source):
            only_known(source, at or "the document", page, {_ANSWER})
            answer = object_at(source, at or "the document", page, _ANSWER)
            here = f"{at}{_ANSWER}"
            only_known(source, here, answer, _ANSWER_KEYS)
            if str(answer.get("returnCode", "0")) != "0":
                raise InvoiceRefused.at(
                    source.name, here, "returnCode", answer.get("returnCode"), "the vendor's answer is an error"
                )
            if answer.get("totalRows") is not None:
                told = max(told, count_of(source.name, here, "totalRows", answer["totalRows"]))
            for place, row in objects_at(source, here, answer, _ROWS, f"{here}."):
                rows += 1
                yield from _row(source, place, row)
        if rows < told:
            raise InvoiceRefused.at(
                source.name,
                "the document",
                "totalRows",
                told,
                Sentence("%(rows)s rows are here: put all pages into one file", rows=rows),
            )


def _row(source: SourceFile, place: str, row: Json) -> Iterator[VendorLine | CoveredDay | StatedTotal]:
    only_known(source, place, row, _ROW_KEYS)
    month = _MONTH.fullmatch(str(row.get("demandMonth") or ""))
    if month is None:
        raise InvoiceRefused.at(source.name, place, "demandMonth", row.get("demandMonth"), "write a month as 202610")
    days = month_days(source.name, place, "demandMonth", int(month[1]), int(month[2]))
    _check_currency(source, place, row)
    product = object_at(source, place, row, "productDemandType")
    only_known(source, f"{place}.productDemandType", product, _CODE_KEYS)
    name = text_of(source.name, place, "productDemandType.codeName", product.get("codeName"))
    if name is None:
        raise InvoiceRefused.at(source.name, place, "productDemandType.codeName", None, "a row names its product")
    kind = LineKind.TOTAL if _MODEL_PRODUCT in name.lower() else LineKind.FEE
    amounts = _amounts(source, place, row)
    yield StatedTotal(f"{place}.demandAmount", days[0], days[-1], amounts["demandAmount"], _CURRENCY)
    yield from (CoveredDay(day, place) for day in days)
    used = VendorLine(
        place=place,
        day=days[-1],
        kind=kind,
        text=name,
        account=text_of(source.name, place, "memberNo", row.get("memberNo")),
        amount=amounts["useAmount"],
        currency=_CURRENCY,
    )
    yield used
    for field in _DISCOUNTS:
        if amounts[field]:
            yield replace(used, kind=LineKind.CREDIT, text=f"{name} / {field}", amount=-amounts[field])
    if amounts["defaultAmount"]:
        yield replace(used, kind=LineKind.FEE, text=f"{name} / defaultAmount", amount=amounts["defaultAmount"])


def _amounts(source: SourceFile, place: str, row: Json) -> dict[str, Decimal]:
    """The row's figures; a discount that is not written is none. They must come to the demand."""
    figures = {
        field: decimal_of(source.name, place, field, 0 if row.get(field) is None else row[field])
        for field in (*_DISCOUNTS, "defaultAmount")
    }
    figures["useAmount"] = decimal_of(source.name, place, "useAmount", row.get("useAmount"))
    demand = figures["demandAmount"] = decimal_of(source.name, place, "demandAmount", row.get("demandAmount"))
    with exact():
        added = figures["useAmount"] - sum(figures[field] for field in _DISCOUNTS) + figures["defaultAmount"]
    if added != demand:
        raise InvoiceRefused.at(
            source.name,
            place,
            "demandAmount",
            demand,
            Sentence("use - discounts + penalty is %(sum)s", sum=plain(added)),
        )
    return figures


def _check_currency(source: SourceFile, place: str, row: Json) -> None:
    """Won at a rate of 1. Another currency would need its rate, and which figures it applies to is not documented."""
    name = "payCurrency" if "payCurrency" in row or "currency" not in row else "currency"
    code = row.get(name)
    if not isinstance(code, str):
        currency = object_at(source, place, row, name)
        only_known(source, f"{place}.{name}", currency, _CODE_KEYS)
        name, code = f"{name}.code", currency.get("code")
    if code != _CURRENCY:
        raise InvoiceRefused.at(
            source.name, place, name, code, Sentence("only %(currency)s is understood", currency=_CURRENCY)
        )
    rate = row.get("thisMonthAppliedExchangeRate")
    if rate is not None and decimal_of(source.name, place, "thisMonthAppliedExchangeRate", rate) != 1:
        raise InvoiceRefused.at(
            source.name,
            place,
            "thisMonthAppliedExchangeRate",
            rate,
            Sentence("%(currency)s has the rate 1", currency=_CURRENCY),
        )
