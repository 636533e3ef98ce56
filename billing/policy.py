"""The organisation's choices that decide money, in one value that every rule takes as a parameter."""

from __future__ import annotations

from dataclasses import dataclass

from billing.errors import BillingError
from billing.money import minor_digits


@dataclass(frozen=True, slots=True)
class MoneyPolicy:
    """In which zone months are, in which currency statements are, and to what they are rounded.

    `step_digits` is the power of ten, in smallest units, that figures are rounded to: 0 is 1 won, 1 is 10 won.
    """

    zone: str = "Asia/Seoul"
    currency: str = "KRW"
    step_digits: int = 0

    def __post_init__(self) -> None:
        try:
            minor_digits(self.currency)
        except ValueError as error:
            raise BillingError(f"currency: {error}") from None

    @property
    def step_exponent(self) -> int:
        """Figures are whole multiples of 10 to this power: 0 for 1 won, 1 for 10 won, -2 for a cent."""
        return self.step_digits - minor_digits(self.currency)
