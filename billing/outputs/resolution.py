"""The lines of a Korean local government's spending resolution (지출결의): a row for each department and creditor.

No system defines a format for uploads; what people type is department, detailed programme (세부사업), budget item
(통계목), purpose (적요), creditor, supply value, value added tax and total. Columns and their order are a setting.
Programme and budget item come from the register of departments and are empty where it has none: nothing is guessed.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.money import exact, plain
from billing.outputs.journal import UNATTRIBUTED, Unbalanced
from billing.outputs.texts import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.outputs.journal import Item

FIGURES = frozenset({"공급가액", "부가세", "합계"})


@dataclass(frozen=True, slots=True)
class Payer:
    """What the register says of a department."""

    name: str
    programme: str
    budget_item: str


def resolution_rows(
    whole: Mapping[str, Any], found: Sequence[Item], payers: Mapping[str, Payer]
) -> list[dict[str, str]]:
    """Every column that a setting may name, for each department and creditor in their order. Raises Unbalanced."""
    sums: dict[tuple[str, str], dict[str, Decimal]] = {}
    with exact():
        for item in found:
            creditor = "" if item.creditor is None else item.creditor.name
            figures = sums.setdefault((item.department, creditor), {"supply": Decimal(0), "tax": Decimal(0)})
            figures["tax" if item.section == "taxes" else "supply"] += item.amount
        year, number = whole["month"].split("-")
        rows = []
        for (code, creditor), figures in sums.items():
            nobody = words("ko")["unattributed"] if code == UNATTRIBUTED else code
            payer = payers.get(code, Payer(nobody, "", ""))
            rows.append(
                {
                    "사용월": whole["month"],
                    "부서코드": code,
                    "부서": payer.name,
                    "세부사업": payer.programme,
                    "통계목": payer.budget_item,
                    "적요": f"{int(year)}년 {int(number)}월 AI 사용료",
                    "채권자": creditor,
                    "공급가액": plain(figures["supply"]),
                    "부가세": plain(figures["tax"]),
                    "합계": plain(figures["supply"] + figures["tax"]),
                    "통화": whole["currency"],
                }
            )
        paid = sum((Decimal(row["합계"]) for row in rows), Decimal(0))
    if paid != Decimal(whole["total"]):
        raise Unbalanced(f"rows add up to {plain(paid)} and the organisation's total is {whole['total']}")
    return rows
