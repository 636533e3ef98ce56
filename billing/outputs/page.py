"""What stands on the pages of a statement or summary, as plain data that the template lays out. Pure.

Every text is made harmless here (`shown_text`), every figure is written here; the template adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.money import exact, plain
from billing.outputs.charge_words import charge_words
from billing.outputs.figures import about, grouped
from billing.outputs.numerals import DIGITS_MAX, won_in_words
from billing.outputs.shown_text import breakable, printable
from billing.outputs.texts import month_name, status_name, unit_name, words

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from billing.outputs.texts import Language

NAME_CHARACTERS_MAX = 160
SHORT_CHARACTERS_MAX = 40
CHARGE_CHARACTERS_MAX = 400
EXACT_DECIMALS = 9
LINE_HEAD = ("unit", "quantity", "unit_price", "price_id", "amount_exact", "fx_rate", "amount")


@dataclass(frozen=True, slots=True)
class Beside:
    """What is shown beside the total, in the statement's currency; None where nobody told it."""

    budget: str | None = None
    budget_period: str = ""
    budget_left: str | None = None
    last_month: str | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a page is: the language, the organisation's name, and the characters that the font can show."""

    language: Language
    organisation: str
    covered: Container[int]

    def name(self, text: str | None, limit: int = NAME_CHARACTERS_MAX) -> str:
        """A stranger's text, harmless."""
        return printable(text or "", self.covered, limit)


def statement_page(
    document: Mapping[str, Any], documents: Sequence[Mapping[str, Any]] | None, reader: Reader, beside: Beside
) -> dict[str, Any]:
    """The pages of a department's statement; with the documents of all departments, of the organisation's."""
    label = words(reader.language)
    tables = [_sums(document, reader)]
    if documents is None:
        title, department = label["title"], _department(document, reader)
        facts = [(label["department"], department, True)]
        whose = document["department_name"] or document["department"] or label["unattributed"]
    else:
        title, whose = label["title_organisation"], label["organisation_unnamed"]
        count = sum(1 for one in documents if one["department"] is not None)
        facts = [(label["department_count"], grouped(str(count)), False)]
        tables.append(_departments(document, documents, reader))
    tables.append(_lines(document, reader))
    tables += [
        _charges(document, section, reader) for section in ("allocated", "adjustments", "taxes") if document[section]
    ]
    if rates := _rates(document, reader):
        tables.append(rates)
    return _page(document, reader, beside, title, facts, tables, whose)


def _page(
    document: Mapping[str, Any],
    reader: Reader,
    beside: Beside,
    title: str,
    facts: Sequence[tuple[str, str, bool]],
    tables: Sequence[Mapping[str, Any]],
    whose: str,
) -> dict[str, Any]:
    label = words(reader.language)
    month = month_name(document["month"], reader.language)
    status = status_name(document["status"], reader.language)
    organisation_name = reader.organisation or label["organisation_unnamed"]
    organisation = reader.name(organisation_name)
    warnings = [
        label[f"warn_{kind}"].format(quantity=grouped(document[f"{kind}_quantity"]))
        for kind in ("unpriced", "unconverted")
        if document[f"{kind}_quantity"] != "0"
    ]
    cut = any("…" in cell["text"] for table in tables for row in table["rows"] for cell in row["cells"])
    return {
        "language": reader.language,
        "title": title,
        "subtitle": f"{reader.name(whose, SHORT_CHARACTERS_MAX)} · {month}",
        "organisation": organisation,
        "words": {name: label[name] for name in ("page", "content_hash", "total", "warning")},
        "running_left": " · ".join(reader.name(name, SHORT_CHARACTERS_MAX) for name in (organisation_name, whose)),
        "running_right": f"{month} · {status}",
        "content_hash": document["content_hash"],
        "facts": [
            (label["organisation"], organisation, False),
            *facts,
            (label["month"], f"{month} ({document['timezone']})", False),
            (label["status"], status, False),
            (label["content_hash"], breakable(document["content_hash"]), False),
        ],
        "total": _money(document["total"], document["currency"]),
        "in_words": _in_words(document),
        "beside": _beside(document, beside, reader.language),
        "warnings": warnings,
        "notes": [] if document["status"] == "closed" else [label["warn_open"]],
        "tables": tables,
        "closing": [*([label["cut_digits"]] if cut else []), label["check_it"]],
        "keywords": [],
    }


def _department(document: Mapping[str, Any], reader: Reader) -> str:
    if document["department"] is None:
        return words(reader.language)["unattributed"]
    return " ".join(
        part for part in (reader.name(document["department"]), reader.name(document["department_name"])) if part
    )


def _lines(document: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """Use, under a heading for each model; booked amounts stand right."""
    label = words(reader.language)
    rows: list[dict[str, Any]] = []
    group = None
    for line in document["lines"]:
        if (line["provider"], line["model"]) != group:
            group = (line["provider"], line["model"])
            rows.append(_group(line, reader))
        rows.append(_row(*_line_cells(line, reader)))
    if rows:
        rows.append(_sum_row(label["line_sum"], len(LINE_HEAD), section_total(document, "lines")))
    return {
        "title": label["lines"],
        "empty": label["nothing"],
        "size": 75,
        "widths": [1, *[0] * (len(LINE_HEAD) - 1)],
        "align": ["left", *["right"] * (len(LINE_HEAD) - 1)],
        "head": [label[name] for name in LINE_HEAD],
        "rows": rows,
    }


def _line_cells(line: Mapping[str, Any], reader: Reader) -> list[dict[str, Any]]:
    label = words(reader.language)
    status = line["price_status"]
    price = "–"
    if line["price"] is not None:
        per = "" if line["per"] == "1" else f" / {grouped(line['per'])}"
        price = f"{grouped(line['price'])} {line['price_currency']}{per}"
    if line["fx_rate"] is not None:
        rate = grouped(line["fx_rate"])
    else:
        rate = label["several_rates"].format(count=len(line["fx_rows"])) if line["fx_rows"] else "–"
    amount = _cell(grouped(line["amount"])) if line["amount"] is not None else _cell(label[status], alarm=True)
    if status == "not_billable":
        price = label["not_billable"]
    return [
        _cell(reader.name(unit_name(line["unit"], reader.language))),
        _cell(grouped(line["quantity"])),
        _cell(price),
        _cell(breakable(" ".join([line["price_id"] or "–", *(term["term_id"] for term in line.get("terms", ()))]))),
        _cell("–" if line["amount_exact"] is None else about(line["amount_exact"], EXACT_DECIMALS)),
        _cell(rate),
        amount,
    ]


def _charges(document: Mapping[str, Any], section: str, reader: Reader) -> dict[str, Any]:
    label = words(reader.language)
    rows = [
        _row(
            _cell(reader.name(charge_words(charge, reader.language), CHARGE_CHARACTERS_MAX)),
            _cell(about(charge["amount_exact"], EXACT_DECIMALS)),
            _cell(grouped(charge["amount"])),
        )
        for charge in document[section]
    ]
    rows.append(_sum_row(label[section], 3, section_total(document, section)))
    return {
        "title": label[section],
        "empty": label["none"],
        "size": 75,
        "widths": [1, 0, 0],
        "align": ["left", "right", "right"],
        "head": [label["description"], label["amount_exact"], label["amount"]],
        "rows": rows,
    }


def _sums(document: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """What the total is made of."""
    label = words(reader.language)
    currency = document["currency"]
    named = [("line_sum", "lines"), ("allocated", "allocated"), ("adjustments", "adjustments"), ("taxes", "taxes")]
    rows = [_row(_cell(label[name]), _cell(_money(section_total(document, part), currency))) for name, part in named]
    total = _cell(_money(document["total"], currency), bold=True)
    return {
        "title": label["sums"],
        "empty": "",
        "size": 80,
        "widths": [1, 0],
        "align": ["left", "right"],
        "head": [label["section"], label["amount"]],
        "rows": [
            *rows,
            _row(_cell(label["total"], bold=True), total),
            _row(_cell(label["total_exact"]), _cell(_money(about(document["total_exact"], EXACT_DECIMALS), currency))),
        ],
    }


def _rates(document: Mapping[str, Any], reader: Reader) -> dict[str, Any] | None:
    """The exchange rates that lines used, each once; None where none was."""
    label = words(reader.language)
    used = sorted(
        {
            (row["date"], line["price_currency"], row["rate"], row["source"])
            for line in document["lines"]
            for row in line["fx_rows"]
        }
    )
    if not used:
        return None
    return {
        "title": label["rates"],
        "empty": "",
        "size": 70,
        "widths": [0, 0, 1],
        "align": ["left", "right", "left"],
        "head": [label["date"], label["fx_rate"], label["source"]],
        "rows": [
            _row(
                _cell(day),
                _cell(f"1 {currency} = {grouped(rate)} {document['currency']}"),
                _cell(reader.name(source)),
            )
            for day, currency, rate, source in used
        ],
    }


def _departments(document: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], reader: Reader) -> dict[str, Any]:
    label = words(reader.language)
    rows = [
        _row(
            _cell(_department(one, reader)),
            _cell(one["content_hash"][:12]),
            _cell(_or_none(one["unpriced_quantity"], "0"), alarm=one["unpriced_quantity"] != "0"),
            _cell(grouped(one["tax"])),
            _cell(grouped(one["total"])),
        )
        for one in documents
    ]
    if rows:
        tax, total = _cell(grouped(document["tax"]), bold=True), _cell(grouped(document["total"]), bold=True)
        rows.append(_row(_cell(label["total"], bold=True), _cell(""), _cell(""), tax, total))
    return {
        "title": label["departments"],
        "empty": label["nothing"],
        "size": 80,
        "widths": [1, 0, 0, 0, 0],
        "align": ["left", "left", "right", "right", "right"],
        "head": [label[name] for name in ("department", "content_hash", "unpriced_quantity", "tax", "total")],
        "rows": rows,
    }


def _beside(document: Mapping[str, Any], beside: Beside, language: Language) -> list[tuple[str, str]]:
    """Budget and last month, with what they leave and how the month changed."""
    label = words(language)
    rows = []
    with exact():
        total = Decimal(document["total"])
        if beside.last_month is not None:
            change = total - Decimal(beside.last_month)
            rows.append((label["last_month"], _money(beside.last_month, document["currency"])))
            rows.append((label["change"], f"{'+' if change > 0 else ''}{grouped(plain(change))}"))
    if beside.budget is not None:
        name = f"{label['budget']} ({beside.budget_period})" if beside.budget_period else label["budget"]
        rows.append((name, _money(beside.budget, document["currency"])))
    if beside.budget_left is not None:
        rows.append((label["budget_left"], grouped(beside.budget_left)))
    return rows


def _in_words(document: Mapping[str, Any]) -> str:
    """The total in Korean numerals; empty for another currency, and for more than any office ever wrote."""
    total = Decimal(document["total"])
    if document["currency"] != "KRW" or len(str(abs(int(total)))) > DIGITS_MAX:
        return ""
    return won_in_words(total)


def section_total(document: Mapping[str, Any], section: str) -> str:
    """The sum of the booked amounts of a section; lines without an amount are not in it."""
    with exact():
        amounts = (Decimal(one["amount"]) for one in document[section] if one["amount"] is not None)
        return plain(sum(amounts, Decimal(0)))


def _group(line: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    name = f"{reader.name(line['model'])}  ({reader.name(line['provider'], SHORT_CHARACTERS_MAX)})"
    return {"kind": "group", "cells": [_cell(name)]}


def _row(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "row", "cells": list(cells)}


def _sum_row(name: str, columns: int, total: str) -> dict[str, Any]:
    return _row(_cell(name, bold=True), *[_cell("") for _ in range(columns - 2)], _cell(grouped(total), bold=True))


def _money(figure: str, currency: str) -> str:
    return f"{grouped(figure)} {currency}"


def _or_none(figure: str, nothing: str) -> str:
    return "–" if figure == nothing else grouped(figure)


def _cell(text: str, *, bold: bool = False, alarm: bool = False) -> dict[str, Any]:
    return {"text": text, "bold": bold, "alarm": alarm}
