"""Seats against use: what is cheaper, for whom, and the best mixture of both. Pure; every amount is exact.

A seat is a fixed price for one person and month. Use is what a person's requests cost. In a mixture each person has
what is cheaper for that person: a seat whose use costs more than one, use otherwise. What no person is known for, and
what belongs to nobody's use (shared costs, tax, corrections), stays as it is in every mixture.

Over several months a person either has a seat for all of them or none: a seat is compared with the person's use in all.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from billing.charges import Department

Cheaper = Literal["seats", "usage", "equal"]


class Payer(NamedTuple):
    """Who used something, and the department it counted for. Both None: nobody is known."""

    user: str | None
    department: Department


class PersonUse(NamedTuple):
    """What a person's use cost in the months that are compared, and the department most of it counted for."""

    user: str
    department: Department
    cost: Fraction


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seats against use. `seat_cost` is one person's seat over all the months, `seats_total` seats for everybody;
    `usage_exact` is the whole of the statements, and what `people` used is part of it."""

    seat_cost: Decimal
    seats_total: Decimal
    usage_exact: Fraction
    people: tuple[PersonUse, ...]

    @property
    def cheaper_on_seat(self) -> tuple[PersonUse, ...]:
        """Those whose use costs more than a seat."""
        return tuple(one for one in self.people if one.cost > self.seat_cost)

    @property
    def at_break_even(self) -> int:
        """How many people's use costs as much as a seat, or more."""
        return sum(one.cost >= self.seat_cost for one in self.people)

    @property
    def beside(self) -> Fraction:
        """What stays in any mixture: use that no person is known for, shared costs, tax, corrections."""
        return self.usage_exact - sum((one.cost for one in self.people), Fraction(0))

    @property
    def mixed_exact(self) -> Fraction:
        """The cost of the best mixture."""
        return self.with_seats(self.cheaper_on_seat)

    def with_seats(self, holders: Iterable[PersonUse]) -> Fraction:
        """The cost if these people have a seat and all others pay for use."""
        return self.usage_exact - sum((one.cost - Fraction(self.seat_cost) for one in holders), Fraction(0))

    def candidates(self, count: int) -> tuple[PersonUse, ...]:
        """The people for whom a seat pays most, whether or not it pays: most costly use first, ties by user."""
        return tuple(sorted(self.people, key=lambda one: (-one.cost, one.user))[:count])

    def cheaper(self, usage_total: Decimal) -> Cheaper:
        """Which of the pure plans is cheaper, by what would be booked."""
        if self.seats_total == usage_total:
            return "equal"
        return "seats" if self.seats_total < usage_total else "usage"


def people_of(costs: Mapping[Payer, Fraction]) -> tuple[PersonUse, ...]:
    """Each person's use over all departments, by user. Use without a user belongs to no person.

    The person's department is the one with the most costly use, ties by code.
    """
    by_user: dict[str, dict[Department, Fraction]] = {}
    for (user, department), cost in costs.items():
        if user is not None:
            shares = by_user.setdefault(user, {})
            shares[department] = shares.get(department, Fraction(0)) + cost
    return tuple(
        PersonUse(
            user,
            min(shares, key=lambda code: (-shares[code], code is None, code or "")),
            sum(shares.values(), Fraction(0)),
        )
        for user, shares in sorted(by_user.items())
    )
