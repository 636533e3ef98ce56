"""What a contract wants paid at least: a minimum fee each month, a commitment over its validity. Pure.

What the use that a term is about cost counts towards it ('charges'), in the term's currency, exactly. Departments pay
for their use at its price in any case; only what is missing in the end, the shortfall, is a cost that no use explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.rating import cost_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from billing.fx import FxTable
    from billing.rating import RatedQuantity
    from billing.terms.term import ContractTerm, DatedTerm


@dataclass(frozen=True, slots=True)
class DrawDown:
    """One month of a commitment, in its currency: `opening` = `drawn` + `remaining`; `charges` = `drawn` + `beyond`."""

    month: str
    opening: Fraction
    charges: Fraction
    drawn: Fraction
    beyond: Fraction
    remaining: Fraction


def shortfall(minimum: Fraction, charges: Fraction) -> Fraction:
    """What is missing to a minimum; never negative."""
    return max(Fraction(0), minimum - charges)


def draw_down(committed: Fraction, charges: Sequence[tuple[str, Fraction]]) -> list[DrawDown]:
    """A commitment drawn down by the charges of its months, in their order. Charges below 0 give back what they drew.

    What goes beyond the commitment is counted over all months together: a credit in a later month first takes back what
    went beyond.
    """
    months = []
    total = drawn_before = Fraction(0)
    for month, charge in charges:
        total += charge
        drawn = max(Fraction(0), min(total, committed))
        months.append(
            DrawDown(
                month,
                committed - drawn_before,
                charge,
                drawn - drawn_before,
                charge - (drawn - drawn_before),
                committed - drawn,
            )
        )
        drawn_before = drawn
    return months


def charges_of(
    rated: Iterable[RatedQuantity], obligations: Sequence[DatedTerm], rates: FxTable, day_of: Mapping[int, date]
) -> dict[int, Fraction]:
    """What a month's rated use cost towards each obligation, by term id, in the term's currency.

    `day_of` gives the day of each hour, whose rate converts a price in another currency. Use without a price counts
    nothing here: it shows as unpriced, and blocks the close of its month. Raises BillingError where a rate is missing.
    """
    found = {one.term.id: Fraction(0) for one in obligations}
    for part in rated:
        price, usage = part.price, part.usage
        if price is None:
            continue
        for one in obligations:
            if one.holds(usage.hour) and one.term.rank(usage.provider, usage.model, part.unit, price) is not None:
                cost = Fraction(cost_of(part.quantity, price))
                found[one.term.id] += cost * _rate(one.term, price.currency, day_of[usage.hour], rates)
    return found


def _rate(term: ContractTerm, currency: str, day: date, rates: FxTable) -> Fraction:
    """Units of the term's currency for one of a price's."""
    assert term.currency is not None
    if currency == term.currency:
        return Fraction(1)
    row = rates.on(day, currency, term.currency)
    if row is None:
        raise BillingError(
            f"{term.name} ({term.code}) counts in {term.currency} and has use priced in {currency}: import the rate of "
            f"{currency} in {term.currency} of {day} or before with `jangbu fx import FILE`"
        )
    return Fraction(row.rate)
