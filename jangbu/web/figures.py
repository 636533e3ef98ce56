"""Figures and times as pages show them. Amounts come as texts of exact decimals and leave as text: no float.

None is unknown, and shown as such: never as 0.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from jangbu.web.wording import Wording

MINUS: Final = "\N{MINUS SIGN}"
MINOR_DIGITS: Final = {"KRW": 0, "JPY": 0, "USD": 2, "EUR": 2}
"""Of ISO 4217, for what pages round for the eye; documents keep every digit."""


def grouped(value: Decimal) -> str:
    """An exact decimal with thousands, its sign in front. Korean and English group alike."""
    text = f"{abs(value):,f}"
    return f"{MINUS}{text}" if value < 0 else text


class Figures:
    """The filters of one language and zone; each gives text for a template."""

    def __init__(self, wording: Wording, zone: str) -> None:
        self._wording = wording
        self._zone = ZoneInfo(zone)

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By the names that templates use."""
        names = ("quantity", "money", "change", "percent", "instant", "day", "month")
        return {name: getattr(self, name) for name in names}

    def _unknown(self) -> Markup:
        return Markup('<span class="unknown">{}</span>').format(self._wording.gettext("unknown"))

    def quantity(self, value: Any) -> Any:
        """A count, with thousands."""
        return self._unknown() if value is None else grouped(Decimal(str(value)))

    def money(self, value: Any, currency: str | None = None, *, exact: bool = False, bare: bool = False) -> Any:
        """An amount, with its currency where that stands in no heading. `exact`: every digit; `bare`: rounded as the
        currency is, which a heading names."""
        return self._unknown() if value is None else self._amount(Decimal(str(value)), currency, "", exact, bare)

    def change(self, value: Any, currency: str | None = None, *, bare: bool = False) -> Any:
        """An amount by which something is more or less: always with its sign."""
        if value is None:
            return self._unknown()
        amount = Decimal(str(value))
        return self._amount(amount, currency, "+" if amount > 0 else "", exact=False, bare=bare)

    def _amount(self, amount: Decimal, currency: str | None, plus: str, exact: bool, bare: bool) -> str:
        """An amount as text. One that would round to nothing says what it is less than (a negative one: more than),
        with every digit as its title: a little is not zero."""
        named = None if bare else currency
        step = Decimal(1).scaleb(-MINOR_DIGITS.get(currency or "KRW", 2))
        rounded = amount if exact else amount.quantize(step, ROUND_HALF_UP)
        if rounded or not amount:
            return plus + self._of_currency(grouped(rounded), named)
        edge = f"> {grouped(-step)}" if amount < 0 else f"< {plus}{grouped(step)}"
        every_digit = self._of_currency(grouped(amount), currency)
        return Markup('<span title="{}">{}</span>').format(plus + every_digit, self._of_currency(edge, named))

    def _of_currency(self, shown: str, currency: str | None) -> str:
        if currency is None:
            return shown
        return f"{shown}원" if currency == "KRW" and self._wording.language == "ko" else f"{shown} {currency}"

    def percent(self, value: Any, digits: int = 0) -> Any:
        """A share (1 is the whole) in percent."""
        if value is None:
            return self._unknown()
        share = Decimal(str(value)) * 100
        return f"{grouped(share.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))} %"

    def instant(self, value: Any) -> Any:
        """A moment in the organisation's zone, to the minute; the machine's form goes with it."""
        if value is None:
            return self._unknown()
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        local = moment.astimezone(self._zone)
        return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M}</time>').format(moment.isoformat(), local)

    def day(self, value: Any) -> Any:
        """A day."""
        if value is None:
            return self._unknown()
        return value.isoformat() if isinstance(value, date) else escape(str(value)[:10])

    def month(self, value: str) -> str:
        """A month in words."""
        if self._wording.language == "ko":
            return f"{value[:4]}년 {int(value[5:7])}월"
        return f"{date(int(value[:4]), int(value[5:7]), 1):%B %Y}"
