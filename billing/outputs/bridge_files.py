"""The bridge from ours to the invoice as a workbook and as a page, each with a table and a chart of the same. Pure.

A chart holds doubles: it shows, the exact figures stand beside it as text.
"""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import xlsxwriter  # type: ignore[import-untyped]

from billing.money import exact, plain
from billing.outputs.figures import about, fits_double, grouped
from billing.outputs.paper import table
from billing.outputs.rows_file import FIXED_TIME
from billing.outputs.shown_text import printable
from billing.outputs.texts import month_name

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from billing.breaks.bridges import RecordedBridge
    from billing.outputs.texts import Language
    from billing.reconciliation.bridge import Step

NAME_CHARACTERS_MAX = 80
_WORDS: dict[str, tuple[str, str]] = {
    "title": ("사용 기록과 청구서 대조", "From our records to the invoice"),
    "vendor": ("공급사", "Vendor"),
    "month": ("청구 월", "Invoice month"),
    "run": ("대조 시각", "Reconciled at"),
    "step": ("단계", "Step"),
    "breaks": ("건수", "Breaks"),
    "amount": ("금액", "Amount"),
    "sum": ("누계", "Sum"),
    "exact": ("정확한 금액", "Exact amount"),
    "exact_sum": ("정확한 누계", "Exact sum"),
    "ours": ("당 기관 계산", "ours"),
    "invoice": ("청구서", "invoice"),
    "proof": ("검산", "Proof"),
    "proof_line": (
        "청구서 {invoice} - 당 기관 {ours} - 차이 {breaks} = {difference}",
        "invoice {invoice} - ours {ours} - breaks {breaks} = {difference}",
    ),
    "chart": ("아래 표와 같은 내용의 그림", "The steps of the table below as bars"),
}


def bridge_page(
    vendor: str, month: str, bridges: Sequence[RecordedBridge], organisation: str, language: Language,
    covered: Container[int],
) -> dict[str, Any]:  # fmt: skip
    """The page's data for paper.typ: a chart of the first currency, a table of each."""
    word = _words(language)
    shown_vendor = printable(vendor, covered, NAME_CHARACTERS_MAX)
    shown_by = printable(organisation, covered, NAME_CHARACTERS_MAX)
    head = [word[name] for name in ("step", "breaks", "amount", "sum")]
    tables = [
        table(f"{word['title']} ({one.currency})", head, [_cells(step, word) for step in one.steps], left=1,
              last_bold=True) for one in bridges
    ]  # fmt: skip
    return {
        "language": language,
        "title": word["title"],
        "subtitle": f"{shown_vendor} · {month_name(month, language)}",
        "organisation": shown_by or shown_vendor,
        "running_left": " · ".join(name for name in (shown_by, shown_vendor) if name),
        "running_right": month_name(month, language),
        "facts": [
            (word["vendor"], shown_vendor),
            (word["month"], month_name(month, language)),
            (word["run"], f"{max(one.run_at for one in bridges):%Y-%m-%d %H:%M} UTC"),
            *((f"{word['proof']} ({one.currency})", _proof(one, word)) for one in bridges),
        ],
        "paragraphs": [],
        "bars": bars(bridges[0].steps, word),
        "chart_text": word["chart"],
        "tables": tables,
        "closing": [],
    }


def bars(steps: Sequence[Step], word: dict[str, str]) -> list[dict[str, Any]]:
    """Each step as a bar between two heights, in thousandths of the chart's."""
    edges = [_edges(step) for step in steps]
    low = min([Decimal(0), *(bottom for bottom, _ in edges)])
    high = max([Decimal(0), *(top for _, top in edges)])
    span = (high - low) or Decimal(1)
    made = []
    for step, (bottom, top) in zip(steps, edges, strict=True):
        kind = "pillar" if step.cls is None else "more" if step.amount > 0 else "less"
        made.append(
            {
                "name": word.get(step.name, step.name.replace("_", "_\u200b")),
                "kind": kind,
                "label": about(plain(step.amount), 2),
                "bottom": _thousandths(bottom - low, span),
                "top": _thousandths(top - low, span),
            }
        )
    return made


def bridge_workbook(vendor: str, month: str, bridges: Sequence[RecordedBridge], language: Language) -> bytes:
    """A sheet a currency: the steps as numbers where a double holds them, exact text beside, and the chart."""
    word = _words(language)
    target = io.BytesIO()
    made = xlsxwriter.Workbook(
        target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    made.set_properties({"title": f"{vendor} {month}", "created": FIXED_TIME})
    head = made.add_format({"bold": True, "bg_color": "#F2F5F9", "bottom": 1})
    number = made.add_format({"num_format": "#,##0.00########"})
    for one in bridges:
        _sheet(made, made.add_worksheet(one.currency), one, word, head, number)
    made.close()
    return target.getvalue()


def _sheet(made: Any, sheet: Any, one: RecordedBridge, word: dict[str, str], head: Any, number: Any) -> None:
    """The table in columns A to F; in H to J what the chart stacks: an empty base, more, less."""
    names = [word[name] for name in ("step", "breaks", "amount", "sum", "exact", "exact_sum")]
    for column, name in enumerate([*names, "", "base", "+", "-"]):
        if name:
            sheet.write_string(0, column, name, head)
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 8)
    sheet.set_column(2, 5, 20)
    for line, step in enumerate(one.steps, 1):
        sheet.write_string(line, 0, word.get(step.name, step.name))
        if step.count:
            sheet.write_number(line, 1, step.count)
        for column, value in ((2, step.amount), (3, step.sum_after)):
            if fits_double(plain(value)):
                sheet.write_number(line, column, value, number)
            sheet.write_string(line, column + 2, plain(value))
        bottom, top = _edges(step)
        sheet.write_number(line, 7, bottom)
        sheet.write_number(line, 8 if step.cls is None or step.amount > 0 else 9, top - bottom)
    last = len(one.steps)
    sheet.write_string(last + 2, 0, word["proof"], head)
    sheet.write_string(last + 2, 1, _proof(one, word))
    sheet.freeze_panes(1, 0)
    sheet.set_column(7, 9, None, None, {"hidden": False})
    chart = made.add_chart({"type": "column", "subtype": "stacked"})
    fills = ((7, None), (8, "#3B4A63"), (9, "#2E7D5B"))
    for column, colour in fills:
        chart.add_series({
            "name": [sheet.get_name(), 0, column],
            "categories": [sheet.get_name(), 1, 0, last, 0],
            "values": [sheet.get_name(), 1, column, last, column],
            "fill": {"none": True} if colour is None else {"color": colour},
            "gap": 40,
        })  # fmt: skip
    chart.set_legend({"none": True})
    chart.set_title({"name": f"{word['title']} ({one.currency})"})
    chart.set_size({"width": 860, "height": 380})
    sheet.insert_chart(last + 4, 0, chart, {"description": word["chart"]})


def _edges(step: Step) -> tuple[Decimal, Decimal]:
    """From where to where a step's bar stands."""
    with exact():
        before = Decimal(0) if step.cls is None else step.sum_after - step.amount
    return min(before, step.sum_after), max(before, step.sum_after)


def _thousandths(part: Decimal, span: Decimal) -> int:
    """A part of the chart's height; no figure is read from it."""
    return int(part * 1000 // span)


def _cells(step: Step, word: dict[str, str]) -> list[str]:
    sign = "+" if step.cls is not None and step.amount > 0 else ""
    return [word.get(step.name, step.name), str(step.count) if step.count else "",
            sign + about(plain(step.amount), 9), about(plain(step.sum_after), 9)]  # fmt: skip


def _proof(one: RecordedBridge, word: dict[str, str]) -> str:
    with exact():
        breaks = one.steps[-2].sum_after - one.steps[0].amount
    return word["proof_line"].format(
        invoice=grouped(plain(one.steps[-1].amount)), ours=grouped(plain(one.steps[0].amount)),
        breaks=grouped(plain(breaks)), difference=plain(one.difference),
    )  # fmt: skip


def _words(language: Language) -> dict[str, str]:
    return {name: texts[language == "en"] for name, texts in _WORDS.items()}
