"""What-if over months, from the kept sums in the database; the connection is a snapshot and nothing is written."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.cuts import models_at, money_cuts, price_edges, rate_cuts, read_used
from billing.periods import Month, month_in
from billing.statements import read_conversion, read_department_names
from billing.sums import read_sums
from billing.whatif.by_volume import compare_by_volume
from billing.whatif.compare import Cells, Pricing, compare
from billing.whatif.document import seat_cells, whatif_document
from billing.whatif.scenario import SEATS, read_pricings
from billing.whatif.sums import Asking, Edges, Numbers, read_kept_sums, read_numbers

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.policy import MoneyPolicy


@dataclass(frozen=True, slots=True)
class Supposed:
    """What is supposed: price files, models for others (A=B), or a seat's price a month in the statements' currency."""

    price_files: tuple[tuple[str, bytes], ...] = ()
    swaps: tuple[str, ...] = ()
    seat_price: Decimal | None = None


def what_if(connection: Connection, months: Sequence[str], policy: MoneyPolicy, supposed: Supposed) -> dict[str, Any]:
    """The document of `jangbu whatif`. Raises BillingError for what cannot be supposed."""
    now, then = read_pricings(connection, supposed.price_files, supposed.swaps)
    numbers = read_numbers(connection)
    by_month: dict[str, Cells] = {}
    seats: dict[str, dict[Department, int]] = {}
    for name in months:
        month = month_in(name, policy.zone)
        cells = _month_cells(connection, month, policy, (now, then), numbers)
        if supposed.seat_price is not None:
            seats[name] = read_seats(connection, month)
            cells = seat_cells(cells, seats[name], supposed.seat_price, SEATS)
        by_month[name] = cells
    scenario = {
        "prices": [name for name, _ in supposed.price_files],
        "models": {"/".join(old): "/".join(new) for old, new in then.instead.items()},
        "seat_price": None if supposed.seat_price is None else format(supposed.seat_price, "f"),
        "seats": {name: sum(counts.values()) for name, counts in seats.items()},
    }
    return whatif_document(by_month, scenario, policy, read_department_names(connection), then.instead)


def read_seats(connection: Connection, month: Month) -> dict[Department, int]:
    """A seat for each user who used something, with the department of the user's last hour in the month.

    Use that names no user has no seat.
    """
    rows = connection.execute(
        text("""
        select department, count(*) from (
          select distinct on (y."user") y."user", y.department
          from (select payer_id, max(hour) as hour from usage_part
                where hour >= :first_hour and hour < :end_hour group by payer_id having sum(events) > 0) p
          join payer y on y.id = p.payer_id
          where y."user" is not null
          order by y."user", p.hour desc, y.department) last
        group by department"""),
        {"first_hour": month.first_hour, "end_hour": month.end_hour},
    )
    return {row[0]: row[1] for row in rows}


def _month_cells(
    connection: Connection, month: Month, policy: MoneyPolicy, pricings: tuple[Pricing, Pricing], numbers: Numbers
) -> Cells:
    now, then = pricings
    conversion = read_conversion(connection, month, policy)
    used = read_used(connection)
    asked = [(one.book, one.instead) for one in pricings]
    if any(one.book.contract is not None and one.book.contract.has_tiers for one in pricings):
        cuts = money_cuts(asked, used, conversion)
        sums = list(read_sums(connection, month.first_hour, month.end_hour, cuts, conversion.dimensions))
        return compare_by_volume(sums, now, then, conversion)
    currencies = {term.row.currency for one in pricings for term in one.book.terms} - {policy.currency}
    edges = Edges(
        {hour for book, instead in asked for hour in price_edges(book, instead, used, month)},
        models_at(asked, used, conversion),
        rate_cuts(used, conversion, currencies),
        {term.row.key.prompt_above for one in pricings for term in one.book.terms},
        tuple(sorted(currencies)),
    )

    def alike(asking: Asking, band: int, hour: int, units: Sequence[str]) -> Hashable:
        provider, model, tier, region, cached = asking
        if cached:
            return asking
        of_model = [(one.book, one.asked(provider, model, tier, region, band)) for one in pricings]
        answers = [book.find(question, unit, hour) for book, question in of_model for unit in units]
        return provider, model, tuple(None if row is None else row.id for row in answers)

    return compare(read_kept_sums(connection, conversion, numbers, edges, alike), now, then, policy.currency)
