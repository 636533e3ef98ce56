"""What every importer yields, whatever the vendor: lines of money, lines of quantity, and the days a file covers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date
    from decimal import Decimal

    from billing.invoices.source import SourceFile


ANYBODY = "*"
"""`Importer.vendor` of a format that any vendor may write: whose bill it is, the person who brings it says."""


UNMAPPED = "unmapped"
"""Unit of use whose wording (a meter, a SKU, a line item) no importer understands. `model` is that wording then: the
break is UNKNOWN_MODEL with the text seen, until a rule (`jangbu vendor map import`) says what it means."""


class LineKind(StrEnum):
    """What a line is about. `usage` and `total` are money for use (`total` names neither model nor unit)."""

    USAGE = "usage"
    TOTAL = "total"
    TAX = "tax"
    CREDIT = "credit"
    FEE = "fee"
    QUANTITY = "quantity"
    """Use without money, from a usage export."""


class FileKind(StrEnum):
    """Which half of a vendor's truth a file holds. A day is covered for each kind on its own."""

    COST = "cost"
    USAGE = "usage"


@dataclass(frozen=True, slots=True)
class VendorLine:
    """One line as the vendor wrote it, put into our words.

    `place` says where in the file ("line 3", "data[0].results[1]"); `text` is the vendor's own wording, kept raw.
    `day` is the vendor's day in the vendor's zone. `unit` is a unit of the contract after folding what the vendor
    does not tell apart (reasoning stands inside output_tokens). `quantity` is in that unit, None where not told.
    `quantity_step` is how fine the vendor writes this quantity (1000 where it counts whole thousands), in that unit.
    `amount` is exact as written, in `currency`; None on a line of kind `quantity` only.
    `rows`: how many rows of the file it adds up, where it was read back as a sum (`reading.read_sums_of_lines`): no two
    of them are equal, none is of 10,000 or more, and `amount_decimals` is how many decimals the finest of them writes.
    """

    place: str
    day: date
    kind: LineKind
    text: str | None
    account: str | None = None
    model: str | None = None
    unit: str | None = None
    service_tier: str | None = None
    quantity: Decimal | None = None
    quantity_step: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    rows: int = 1
    amount_decimals: int | None = None

    @property
    def is_sum(self) -> bool:
        """Whether several rows stand in it."""
        return self.rows > 1


@dataclass(frozen=True, slots=True)
class CoveredDay:
    """A vendor day that the file speaks about, with or without lines: a day without spend is an answer too."""

    day: date
    place: str


@dataclass(frozen=True, slots=True)
class StatedTotal:
    """What the vendor says that its lines from `first_day` to `day` come to; compared with them, never added."""

    place: str
    first_day: date
    day: date
    amount: Decimal
    currency: str


class Importer(Protocol):
    """One vendor surface. Modules with one such object each are listed in `billing.invoices.recognise`."""

    @property
    def vendor(self) -> str:
        """The vendor whose surface this is, as the register names it; ANYBODY for a common format."""

    @property
    def format(self) -> str:
        """The surface's name, as in openai.costs_api."""

    @property
    def kind(self) -> FileKind:
        """Money or quantities."""

    @property
    def folds(self) -> Mapping[str, str]:
        """Units of ours that this surface does not tell apart, and the unit that it counts them as."""

    def recognise(self, source: SourceFile) -> str | None:
        """Why the content is this surface's, in words; None where it is not. Looks at the beginning only."""

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay | StatedTotal]:
        """The lines in the file's order. Raises InvoiceRefused at the first thing that is not known."""
