"""A dispute as the vendor gets it: a letter and a table with the evidence. Pure.

Nothing of it says who used what: no user, department, account or key of ours, and none of our own words of evidence,
which may name such. What it says is made here of figures, of classes, and of what the vendor's own file calls the
thing; an e-mail address or what looks like a key in that is struck out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.money import exact, exact_text, plain
from billing.outputs.figures import about, grouped
from billing.outputs.paper import table
from billing.outputs.shown_text import printable
from billing.outputs.texts import month_name, unit_name

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from datetime import date

    from billing.breaks.worklist import Found, Side, WorkItem
    from billing.outputs.texts import Language

COLUMNS = (
    "reference", "day", "class", "model", "unit", "service_tier", "item", "invoiced_quantity", "invoiced_amount",
    "metered_quantity", "expected_amount", "difference", "currency",
)  # fmt: skip
FIGURES = frozenset({"invoiced_quantity", "invoiced_amount", "metered_quantity", "expected_amount", "difference"})
STRUCK = "[…]"
NAME_CHARACTERS_MAX = 80
MILLION = 1_000_000
_PERSONAL = re.compile(
    r"[^\s@,;<>()\"']+@[^\s@,;<>()\"']+|\b(?:sk|pk|key|api|xai|gsk|AIza|AKIA)[-_][A-Za-z0-9_-]{6,}|\bAKIA[A-Z0-9]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
)
_CLASSES: dict[str, tuple[str, str]] = {
    "TAX": ("세금", "tax"),
    "CREDIT_OR_DISCOUNT": ("크레딧·할인", "credit or discount"),
    "FEE": ("수수료", "fee"),
    "DUPLICATE": ("중복 청구", "billed twice"),
    "UNKNOWN_MODEL": ("알 수 없는 모델·항목", "unknown model or item"),
    "PERIOD_EDGE": ("다른 기간의 사용", "use of another period"),
    "BYPASS": ("당 기관이 기록하지 않은 사용", "use that we have no record of"),
    "NOT_BILLED": ("청구되지 않은 사용", "use that was not billed"),
    "UNIT_SCALE": ("단위 배수 차이", "another scale of the unit"),
    "UNIT_CLASS": ("토큰 종류 구분 차이", "another split between kinds of tokens"),
    "ROUNDING": ("반올림", "rounding"),
    "QUANTITY": ("수량 차이", "quantity"),
    "PRICE": ("단가 차이", "unit price"),
    "FX": ("환율 차이", "exchange rate"),
    "UNEXPLAINED": ("설명되지 않은 금액", "amount without explanation"),
}
_WORDS: dict[str, tuple[str, str]] = {
    "title": ("청구 금액 이의 제기", "Dispute of invoiced amounts"),
    "to": ("받는 곳", "To"),
    "from": ("보내는 곳", "From"),
    "unnamed": ("(기관 이름 없음)", "(organisation not named)"),
    "month": ("청구 월", "Invoice month"),
    "date": ("작성일", "Date"),
    "amount": ("이의 금액", "Amount in dispute"),
    "opening": (
        "귀사의 {month} 청구 내역을 당 기관의 사용 기록 및 적용 단가와 대조한 결과, 아래 항목이 일치하지 않습니다.",
        "We compared your charges for {month} with our own metering and our prices. The items below do not agree.",
    ),
    "request": (
        "항목별 근거를 확인하시고, 정정 청구서 또는 크레딧 발급 여부와 그 사유를 알려 주시기 바랍니다.",
        "Please check each item and tell us whether you will correct the invoice or issue a credit, and why.",
    ),
    "details": (
        "일자별 상세 내역은 함께 보내는 표(CSV, XLSX)에 있습니다.",
        "The table that comes with this letter (CSV, XLSX) has every day.",
    ),
    "privacy": (
        "이 문서와 표에는 개인, 부서, 인증 키에 관한 정보가 없습니다.",
        "This letter and its table hold nothing about persons, departments or keys.",
    ),
    "items": ("이의 항목", "Items in dispute"),
    "prices": ("100만 단위당 단가", "Unit prices, per million"),
    "reference": ("번호", "Reference"),
    "class": ("구분", "Kind"),
    "what": ("항목", "Item"),
    "days": ("일수", "Days"),
    "invoiced": ("청구 금액", "Invoiced"),
    "expected": ("당 기관 계산", "By our records"),
    "difference": ("차액", "Difference"),
    "invoiced_price": ("청구 단가", "Invoiced price"),
    "expected_price": ("적용 단가", "Price that applies"),
    "total": ("합계", "Total"),
    "running": ("이의 제기", "Dispute"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Letter:
    """Who writes to whom, when, in which language, and what the font shows."""

    organisation: str
    creditor: str
    day: date
    language: Language
    covered: Container[int]


def dispute_page(vendor: str, month: str, items: Sequence[WorkItem], letter: Letter) -> dict[str, Any]:
    """The letter's data for paper.typ; items of one currency or of several."""
    word = {name: texts[letter.language == "en"] for name, texts in _WORDS.items()}
    shown_month = month_name(month, letter.language)
    creditor, organisation = _shown(letter.creditor or vendor, letter), _shown(letter.organisation, letter)
    totals = ", ".join(f"{grouped(amount)} {currency}" for currency, amount in _totals(items))
    tables = []
    for currency, amount in _totals(items):
        rows = [_row(item, letter) for item in items if item.currency == currency]
        rows.append(["", word["total"], "", "", "", "", grouped(amount)])
        head = [word[name] for name in ("what", "class", "reference", "days", "invoiced", "expected", "difference")]
        rows = [[row[1], row[2], row[0], *row[3:]] for row in rows]
        tables.append(table(f"{word['items']} ({currency})", head, rows, left=3, last_bold=True))
    prices = [row for item in items if (row := _prices(item, letter)) is not None]
    if prices:
        head = [word[name] for name in ("what", "reference", "invoiced_price", "expected_price")]
        tables.append(table(word["prices"], head, prices, left=2))
    return {
        "language": letter.language,
        "title": word["title"],
        "subtitle": f"{creditor} · {shown_month}",
        "organisation": organisation or word["unnamed"],
        "running_left": f"{organisation or word['unnamed']} · {creditor}",
        "running_right": f"{word['running']} · {shown_month}",
        "facts": [
            (word["to"], creditor),
            (word["from"], organisation or word["unnamed"]),
            (word["month"], shown_month),
            (word["date"], letter.day.isoformat()),
            (word["amount"], totals),
        ],
        "paragraphs": [word["opening"].format(month=shown_month)],
        "bars": [],
        "chart_text": "",
        "tables": tables,
        "closing": [word["request"], word["details"], word["privacy"]],
    }


def dispute_rows(items: Sequence[WorkItem]) -> list[dict[str, str]]:
    """The table: a row for each day of each break, by COLUMNS."""
    return [_evidence(item, found) for item in items for found in sorted(item.found, key=lambda one: one.day)]


def struck(text: str) -> str:
    """A text of the vendor's without what could name a person or be a key."""
    return _PERSONAL.sub(STRUCK, text)


def _evidence(item: WorkItem, found: Found) -> dict[str, str]:
    key = item.key
    return {
        "reference": item.name,
        "day": found.day.isoformat(),
        "class": item.cls,
        "model": struck(key.get("model", "")),
        "unit": key.get("unit", ""),
        "service_tier": key.get("service_tier", ""),
        "item": struck(key.get("item", "")),
        "invoiced_quantity": _text(found.theirs.quantity),
        "invoiced_amount": _text(found.theirs.amount),
        "metered_quantity": _text(found.ours.quantity),
        "expected_amount": _text(found.ours.amount),
        "difference": plain(found.amount),
        "currency": item.currency,
    }


def _row(item: WorkItem, letter: Letter) -> list[str]:
    """Reference, what, kind, days, both sides, difference."""
    return [
        item.name, _what(item, letter), _CLASSES[item.cls][letter.language == "en"], str(len(item.parts)),
        _figure(item.theirs.amount), _figure(item.ours.amount), about(plain(item.amount), 9),
    ]  # fmt: skip


def _prices(item: WorkItem, letter: Letter) -> list[str] | None:
    """Both sides' price of a million, where a price is what differs and both tell it."""
    sides = [_per_million(side) for side in (item.theirs, item.ours)]
    if item.cls != "PRICE" or None in sides:
        return None
    return [_what(item, letter), item.name, *(about(side or "", 6) + f" {item.currency}" for side in sides)]


def _per_million(side: Side) -> str | None:
    if side.amount is None or not side.quantity:
        return None
    return exact_text(Fraction(side.amount) * MILLION / Fraction(side.quantity))


def _what(item: WorkItem, letter: Letter) -> str:
    key = item.key
    unit = key.get("unit")
    named = [key.get("model") or key.get("item") or "", unit_name(unit, letter.language) if unit else ""]
    return _shown(struck(" · ".join(one for one in named if one)), letter)


def _totals(items: Sequence[WorkItem]) -> list[tuple[str, str]]:
    totals: dict[str, Decimal] = {}
    with exact():
        for item in items:
            totals[item.currency] = totals.get(item.currency, Decimal(0)) + item.amount
    return [(currency, plain(amount)) for currency, amount in sorted(totals.items())]


def _shown(text: str, letter: Letter) -> str:
    return printable(text, letter.covered, NAME_CHARACTERS_MAX)


def _figure(value: Decimal | None) -> str:
    return "–" if value is None else about(plain(value), 9)


def _text(value: Decimal | None) -> str:
    return "" if value is None else plain(value)
