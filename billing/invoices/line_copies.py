"""Blocks of lines as PostgreSQL's COPY takes them, and what an import notes of them on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.imported import At
from billing.invoices.line_blocks import LineBlock
from billing.invoices.lines import LineKind, VendorLine
from billing.money import MONEY
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from billing.invoices.imported import Imported
    from billing.invoices.lines import CoveredDay
    from billing.invoices.source import SourceFile
    from billing.periods import Month

_NULL = "\\N"


def copied_blocks(
    items: Iterable[LineBlock | CoveredDay], source: SourceFile, month: Month | None, imported: Imported
) -> Iterator[bytes]:
    """The rows of each block as COPY's text, in the columns of `store`; `imported` is kept up with them.

    Raises InvoiceRefused at a line outside the month named; an empty day outside it is left out.
    """
    columns: dict[int, tuple[VendorLine, str]] = {}
    for item in items:
        if isinstance(item, LineBlock):
            if len(item.like):
                for line in item.lines:
                    if id(line) not in columns:  # blocks share the lines that their rows are like
                        columns[id(line)] = (line, _before(line))
                before = [columns[id(line)][1] for line in item.lines]
                yield _rows(item, before, source, month, imported)
        elif month is None or item.day in month.days:
            imported.days.add(item.day)


def _rows(
    block: LineBlock, before: Sequence[str], source: SourceFile, month: Month | None, imported: Imported
) -> bytes:
    first_row = dict(zip(reversed(block.like), reversed(block.numbers), strict=True))
    for at, number in first_row.items():
        _note(block.lines[at], f"line {number}", source, month, imported)
    for line, amount in block.sums():
        if line.currency is not None and amount:
            where = At(line.day, line.model, line.currency)
            imported.by_day[where] = MONEY.add(imported.by_day[where], amount) if where in imported.by_day else amount
            known = imported.amounts.get(line.currency)
            imported.amounts[line.currency] = amount if known is None else MONEY.add(known, amount)
    after = [f"\t{line.currency}\n" for line in block.lines]
    first, head = imported.lines + 1, f"{imported.import_id}\t"
    rows = [
        f"{head}{number}\tline {place}{before[at]}{_figure(quantity)}\t{_figure(step)}\t{amount:f}{after[at]}"
        for number, (at, place, quantity, step, amount) in enumerate(
            zip(block.like, block.numbers, block.quantities, block.steps, block.amounts, strict=True), first
        )
    ]
    imported.lines += len(rows)
    return "".join(rows).encode()


def _note(line: VendorLine, place: str, source: SourceFile, month: Month | None, imported: Imported) -> None:
    if month is not None and line.day not in month.days:
        remedy = Sentence(
            "it lies outside %(month)s; leave out --month to import every day of the file", month=month.name
        )
        raise InvoiceRefused.at(source.name, place, "day", line.day, remedy)
    imported.days.add(line.day)
    imported.accounts.add(line.account)
    imported.has_detail = imported.has_detail or line.kind is LineKind.USAGE


def _before(line: VendorLine) -> str:
    """The columns between place and figures."""
    texts = (line.text, line.account, line.model, line.unit, line.service_tier)
    cells = [f"{line.day}", str(line.kind), *(_NULL if text is None else _escaped(text) for text in texts)]
    return "\t" + "\t".join(cells) + "\t"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _figure(value: Decimal | None) -> str:
    return _NULL if value is None else f"{value:f}"
