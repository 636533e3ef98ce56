"""What a charge is for, in a form that can be compared between two states of the books.

A position belongs to a month and a department: use of one unit of a model under one price row, or one item of another
section (a share, a tax). What has been booked for it, corrections included, and what it comes to by all that is known
now differ by what remains to be corrected.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from billing.charges import Charge
    from billing.statements import LineKey

CORRECTION = "correction"
"""First word of the key of a charge that corrects a closed month."""
DIFFERENCE_POOL = "invoice_difference"
"""The pool of decided breaks, as its charges are keyed: (rule, `invoice_difference:VENDOR`)."""
_PRICE_DIGITS = 19


class Position(NamedTuple):
    """`kind` is 'lines' for use, else the section; `key` tells positions of a kind apart."""

    kind: str
    key: tuple[str, ...]

    @classmethod
    def of_line(cls, key: LineKey) -> Position:
        """The position of a statement's line."""
        return cls.of_use(key.provider, key.model, key.unit, key.price_id)

    @classmethod
    def of_use(cls, provider: str, model: str, unit: str, price_id: int) -> Position:
        """The position of a unit of a model under a price row; 0 without one."""
        return cls("lines", (provider, model, unit, f"{price_id:0{_PRICE_DIGITS}d}"))

    @property
    def use(self) -> tuple[str, str, str, int]:
        """(provider, model, unit, price id) of a position of use."""
        assert self.kind == "lines", self
        provider, model, unit, price_id = self.key
        return provider, model, unit, int(price_id)

    @property
    def billed_by(self) -> str | None:
        """The vendor whose decided breaks it is a share of; None for everything else."""
        pool, _, vendor = (self.key[1] if self.kind == "allocated" and len(self.key) > 1 else "").partition(":")
        return vendor if pool == DIFFERENCE_POOL else None

    @property
    def credit_account(self) -> str:
        """What is credited when a department is debited for it."""
        if self.kind == "lines":
            return f"clearing:{self.key[0]}"
        name = self.key[0] if self.key else "other"
        return f"{'tax' if self.kind == 'tax' else 'pool'}:{name}"


def correction_key(origin_month: str, position: Position) -> tuple[str, ...]:
    """The key of the charge that corrects a position."""
    return (CORRECTION, origin_month, position.kind, *position.key)


def is_correction(charge: Charge) -> bool:
    """Whether a charge corrects a closed month."""
    return charge.section == "adjustments" and charge.key[:1] == (CORRECTION,)


def correction_position(charge: Charge) -> Position:
    """What a correction corrects."""
    return Position(charge.key[2], charge.key[3:])


def read_exact(value: str) -> Fraction:
    """An exact amount as the ledger keeps it: a decimal, or numerator/denominator."""
    return Fraction(value)
