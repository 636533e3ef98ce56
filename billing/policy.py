"""The organisation's choices that decide money, in one value that every rule takes as a parameter.

`document()` is how a close records them: plain JSON values, from which `from_document()` makes the same policy again,
so that a closed month is read with the choices of its close whatever the settings say later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

from billing.errors import BillingError
from billing.fx_policy import FxPolicy, fixed_day
from billing.money import minor_digits, parse_amount, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.charges import Department

STEPS = {"1": 0, "10": 1}
"""Smallest units that figures are rounded to, and the power of ten that each is."""
LAST_DAY = "last"
UNATTRIBUTED = "unattributed"
"""The word for the unattributed account where a department is named."""


@dataclass(frozen=True, slots=True)
class MoneyPolicy:
    """In which zone months are, in which currency statements are, how they are rounded and converted.

    `step_digits` is the power of ten, in smallest units, that figures are rounded to: 0 is 1 won, 1 is 10 won.
    `rest_to` is the department that a step left over goes to first; None: the largest remainder takes it.
    `fx_policy` holds for what the vendor register gives no policy of its own; `fx_day` (`last`, a day of the month from
    1 to 31, or one day as YYYY-MM-DD) is the day of `month_fixed`.
    `unattributed_limit` is the share (0 to 1) of a month's cost that may be unattributed when it closes.
    """

    zone: str = "Asia/Seoul"
    currency: str = "KRW"
    step_digits: int = 0
    rest_to: str | None = None
    fx_policy: FxPolicy = "usage_day"
    fx_day: str = LAST_DAY
    unattributed_limit: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        try:
            minor_digits(self.currency)
        except ValueError as error:
            raise BillingError(f"currency: {error}") from None
        if self.step_digits not in STEPS.values():
            raise BillingError(f"rounding step is 10^{self.step_digits} smallest units: use 1 or 10")
        if self.fx_policy not in get_args(FxPolicy):
            raise BillingError(f"fx policy is {self.fx_policy!r}: use one of {', '.join(get_args(FxPolicy))}")
        fixed_day(self.fx_day, date(2026, 10, 31))
        if not 0 <= self.unattributed_limit <= 1:
            raise BillingError(f"unattributed limit is {self.unattributed_limit}: use a share from 0 to 1")

    @property
    def step_exponent(self) -> int:
        """Figures are whole multiples of 10 to this power: 0 for 1 won, 1 for 10 won, -2 for a cent."""
        return self.step_digits - minor_digits(self.currency)

    def takes_rest(self, department: Department) -> bool:
        """Whether a department is the one that a step left over goes to first."""
        return self.rest_to is not None and (department or UNATTRIBUTED) == self.rest_to

    def document(self) -> dict[str, Any]:
        """The policy as JSON holds it; texts, None, no number."""
        return {
            "zone": self.zone,
            "currency": self.currency,
            "rounding_step": _step_of(self.step_digits),
            "rest_to": self.rest_to,
            "fx_policy": self.fx_policy,
            "fx_day": self.fx_day,
            "unattributed_limit": plain(self.unattributed_limit),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> MoneyPolicy:
        """The policy of a document. Raises BillingError for one that says less or something else."""
        missing = sorted(MoneyPolicy().document().keys() - document.keys())
        if missing:
            raise BillingError(f"the recorded policy has no {', '.join(missing)}: it was not written by this version")
        return cls(
            zone=document["zone"],
            currency=document["currency"],
            step_digits=step_digits(document["rounding_step"]),
            rest_to=document["rest_to"],
            fx_policy=document["fx_policy"],
            fx_day=document["fx_day"],
            unattributed_limit=parse_share(document["unattributed_limit"]),
        )


def step_digits(text: str) -> int:
    """The power of ten of a rounding step, 1 or 10 smallest units. Raises BillingError."""
    if text not in STEPS:
        raise BillingError(f"rounding step is {text!r}: use 1 or 10")
    return STEPS[text]


def parse_share(text: str) -> Decimal:
    """A share from 0 to 1. Raises BillingError."""
    try:
        share = parse_amount(text)
    except ValueError as error:
        raise BillingError(f"share is {text!r}: {error}") from None
    if share > 1:
        raise BillingError(f"share is {text!r}: write 5 % as 0.05")
    return share


def parse_department(text: str) -> str:
    """A department's code as settings and files name it. Raises BillingError."""
    if not re.fullmatch(r"\S(.{0,382}\S)?", text) or not text.isprintable():
        raise BillingError(f"department is {text!r}: write its code")
    return text


def _step_of(digits: int) -> str:
    return next(text for text, known in STEPS.items() if known == digits)
