"""AWS's report by the block: what rows share is understood once, their figures are read column by column.

A block in which anything is not plain, or is refused, is read by `aws_cur`'s strict reader, with all that follow: it
says what is wrong, and where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc  # type: ignore[import-untyped]

from billing.invoices.aws_cur import (
    COST_COLUMN,
    REQUIRED,
    USAGE_COLUMN,
    WANTED,
    CostAndUsageReport,
    Form,
    form_of,
    line_of,
)
from billing.invoices.aws_cur_columns import COLUMNS
from billing.invoices.charge_days import ChargeDays, Period
from billing.invoices.csv_columns import Columns, Doubt, columns_of_csv, text_scalar
from billing.invoices.csv_rows import check_header, header_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import decimals, figure
from billing.invoices.line_blocks import LineBlock
from billing.invoices.lines import CoveredDay, VendorLine
from billing.invoices.money_cells import OneCurrency, step_of
from billing.money import MONEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.invoices.source import SourceFile

_START, _END = "line_item_usage_start_date", "line_item_usage_end_date"
_TIMES = (_START, _END)
_FIGURES = {COST_COLUMN, USAGE_COLUMN}
_SEPARATOR = "\x1f"
_SHORT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,40})?")
_ALL_SHORT = r"^-?[0-9]{1,18}(\.[0-9]{1,40})?$"
STRICT_ROWS = 10_000


def blocks_of(report: CostAndUsageReport, source: SourceFile) -> Iterator[LineBlock | CoveredDay]:
    """The lines in the file's order; at the end the days from the first to the last."""
    header = header_of(source)
    check_header(source, header, COLUMNS, REQUIRED)
    reading, line = _Reading(source), 1
    for found in columns_of_csv(source, header, WANTED):
        block = None if isinstance(found, Doubt) else reading.block(found)
        if block is None:
            yield from _strict(report, source, found.line if isinstance(found, Doubt) else found.first_line)
            return
        yield block
        line = block.numbers[-1]
    yield from reading.days.covered(f"line {line}")


def _strict(report: CostAndUsageReport, source: SourceFile, first_line: int) -> Iterator[LineBlock | CoveredDay]:
    """The rows from a line on, and all days."""
    items = report.read(source)
    while batch := list(islice(items, STRICT_ROWS)):
        rows = [(int(item.place.removeprefix("line ")), item) for item in batch if isinstance(item, VendorLine)]
        numbers = [number for number, _ in rows if number >= first_line]
        lines = [item for number, item in rows if number >= first_line]
        yield LineBlock(
            lines, range(len(lines)), numbers, [item.quantity for item in lines],
            [item.quantity_step for item in lines], [item.amount or Decimal(0) for item in lines],
        )  # fmt: skip
        yield from (item for item in batch if isinstance(item, CoveredDay))


@dataclass
class _Reading:
    """One file: what was understood of it so far."""

    source: SourceFile
    days: ChargeDays = field(init=False)
    currency: OneCurrency = field(init=False)
    forms: dict[tuple[object, ...], tuple[Form, VendorLine]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.days, self.currency = ChargeDays(self.source), OneCurrency(self.source, "line_item_currency_code")

    def block(self, columns: Columns) -> LineBlock | None:
        """The rows' lines; None where one of them is for the strict reader."""
        try:
            keyed = self._forms(columns)
        except InvoiceRefused:
            return None
        if keyed is None:
            return None
        understood, like = keyed
        forms = [form for form, _ in understood]
        texts = columns.cells[COST_COLUMN]
        amounts, used = _figures(texts), _figures(columns.cells[USAGE_COLUMN])
        quantities, steps = _quantities(forms, like, used)
        if None in amounts or quantities is None or any(form.meter and form.scale is None for form in forms):
            return None
        lines = [line for _, line in understood]
        numbers = range(columns.first_line, columns.first_line + columns.rows)
        for row in pc.indices_nonzero(pc.starts_with(texts, "-")).to_pylist():
            cost, usage = texts[row].as_py(), columns.cells[USAGE_COLUMN][row].as_py()
            line = line_of(self.source, f"line {numbers[row]}", forms[like[row]], cost, usage)
            like[row] = len(lines)
            lines.append(replace(line, quantity=None, quantity_step=None, amount=None))
        return LineBlock(lines, like, numbers, quantities, steps, amounts)  # type: ignore[arg-type]

    def _forms(self, columns: Columns) -> tuple[list[tuple[Form, VendorLine]], list[int]] | None:
        """The forms of a block, each with a line of it, and which of them each row has. Raises InvoiceRefused."""
        said = [name for name in columns.cells if name not in _FIGURES and name not in _TIMES]
        words, of_words = _distinct(columns, said)
        times, of_times = _distinct(columns, _TIMES)
        spans: dict[object, int] = {}
        place_of = np.empty(len(times), dtype=np.int64)
        for at, time in enumerate(times):
            parts = time.split(_SEPARATOR)
            span = self.days.span_of(Period(_START, _END, *parts)) if len(parts) == len(_TIMES) else None
            if span is None:
                return None
            place_of[at] = spans.setdefault(span, len(spans))
        keys = of_words * len(spans) + place_of[of_times]
        distinct, first, like = np.unique(keys, return_index=True, return_inverse=True)
        named = list(spans)
        forms = []
        for key, row in zip(distinct.tolist(), first.tolist(), strict=True):
            word, span = words[key // len(spans)], named[key % len(spans)]
            known = self.forms.get((word, span))
            if known is None:
                cells = [part.strip() for part in word.split(_SEPARATOR)]
                if len(cells) != len(said):
                    return None
                whole = dict(zip(said, cells, strict=True))
                whole |= dict(zip(_TIMES, times[of_times[row]].split(_SEPARATOR), strict=True))
                form = form_of(self.source, f"line {columns.first_line + row}", whole, self.days, self.currency)
                known = (form, _template(form))
                self.forms[word, span] = known
            forms.append(known)
        return forms, like.tolist()


def _distinct(columns: Columns, names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different texts of some columns together, and which of them each row has."""
    joined = pc.binary_join_element_wise(*(columns.cells[name] for name in names), text_scalar(_SEPARATOR))
    encoded = joined.combine_chunks().dictionary_encode()
    of_rows = np.frombuffer(encoded.indices.buffers()[1], dtype=np.int32, count=columns.rows)  # to_numpy loads pandas
    return encoded.dictionary.to_pylist(), of_rows.astype(np.int64)


def _figures(texts: object) -> list[Decimal | None]:
    """The decimals that cells write; None where one writes none."""
    cells: list[str] = texts.to_pylist()  # type: ignore[attr-defined]
    if pc.all(pc.match_substring_regex(texts, _ALL_SHORT)).as_py():
        return [Decimal(cell) for cell in cells]
    return [Decimal(cell) if _SHORT.fullmatch(cell) else figure(cell) for cell in cells]


def _quantities(
    forms: Sequence[Form], like: Sequence[int], used: Sequence[Decimal | None]
) -> tuple[list[Decimal | None] | None, list[Decimal | None]]:
    """Each row's quantity in our unit and how finely it is written; None for all where one cannot be told."""
    scales = [form.scale for form in forms]
    multiply = MONEY.multiply
    found: list[Decimal | None] = []
    steps: list[Decimal | None] = []
    for at, written in zip(like, used, strict=True):
        scale = scales[at]
        if scale is None:
            found.append(None)
            steps.append(None)
        elif written is None:
            return None, []
        else:
            found.append(multiply(written, scale))
            steps.append(step_of(scale, decimals(written)))
    return found, steps


def _template(form: Form) -> VendorLine:
    """A line without figures."""
    if form.meter is None:
        return VendorLine("", form.day, form.kind, form.text, form.account, currency=form.currency)
    return VendorLine(
        "", form.day, form.kind, form.text, form.account, form.model, form.meter.unit, form.meter.service_tier,
        currency=form.currency,
    )  # fmt: skip
