"""Lines by the thousand: rows that share all but their figures, for bills too large to make an object of each row.

A block says of each row which line it is like, and its own place and figures. `lines_of` makes lines of it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from billing.money import MONEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.invoices.lines import CoveredDay, Importer, VendorLine
    from billing.invoices.source import SourceFile

BLOCKS_FROM_BYTES = 256 * 1024
"""Below it Arrow takes longer to load than the lines take to be read."""


@dataclass(frozen=True, slots=True)
class LineBlock:
    """`like[row]` is a place in `lines`, whose own place and figures mean nothing. All sequences are of one length."""

    lines: Sequence[VendorLine]
    like: Sequence[int]
    numbers: Sequence[int]
    """The row's line in the file."""
    quantities: Sequence[Decimal | None]
    steps: Sequence[Decimal | None]
    amounts: Sequence[Decimal]

    def sums(self) -> list[tuple[VendorLine, Decimal]]:
        """What each of `lines` comes to. Nothing is rounded: amounts are added as MONEY does."""
        found = [Decimal(0)] * len(self.lines)
        add = MONEY.add
        for at, amount in zip(self.like, self.amounts, strict=True):
            found[at] = add(found[at], amount)
        return list(zip(self.lines, found, strict=True))


@runtime_checkable
class BlockImporter(Protocol):
    """An importer of large bills: what `blocks` gives is what `read` gives."""

    def blocks(self, source: SourceFile) -> Iterator[LineBlock | CoveredDay]:
        """The lines in the file's order; at the end the days. Raises InvoiceRefused as `read` does."""


def in_blocks(importer: Importer, source: SourceFile) -> BlockImporter | None:
    """The importer where it reads this file by the block: a large CSV, with Arrow installed."""
    if not isinstance(importer, BlockImporter) or source.is_parquet or len(source.content) < BLOCKS_FROM_BYTES:
        return None
    return importer if find_spec("pyarrow") is not None else None


def lines_of(block: LineBlock) -> Iterator[VendorLine]:
    """Each row as a line."""
    rows = zip(block.like, block.numbers, block.quantities, block.steps, block.amounts, strict=True)
    for at, number, quantity, step, amount in rows:
        yield replace(
            block.lines[at], place=f"line {number}", quantity=quantity, quantity_step=step, amount=amount
        )
