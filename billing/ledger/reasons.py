"""Why a closed month comes to something else now: decided by evidence, never by what is left over. Pure.

In this order, for a unit of a model in one department:
* its quantity stands: another price row than at the close (PRICE_CORRECTION), else another rate (RATE_CORRECTION);
* its quantity changed, but this price row's moved against the change: PRICE_CORRECTION;
* less, and copies were taken out of the model: COPY_REMOVED;
* events came after what had been read: REDRIVEN where each of them was in quarantine, else LATE_USAGE;
* the organisation's quantity stands, or this is less: ATTRIBUTION_CORRECTION; else LATE_USAGE.
A share of a vendor's breaks, about which something was decided since the close: INVOICE_DIFFERENCE.
Items of other sections: ALLOCATION_CORRECTION, TAX_CORRECTION, or CHARGE_CORRECTION.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from billing.ledger.booked import price_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.charges import Department
    from billing.ledger.booked import Books, PriceCode, Unit
    from billing.ledger.evidence import Evidence, LateEvents
    from billing.ledger.positions import Position

SECTIONS = {"allocated": "ALLOCATION_CORRECTION", "tax": "TAX_CORRECTION"}
PARTITIONS_NAMED_MAX = 4
DECISIONS_NAMED_MAX = 4


class Reason(NamedTuple):
    """A reason code, and a sentence that says what was corrected."""

    code: str
    origin: str


def reason_of(department: Department, position: Position, before: Books, now: Books, evidence: Evidence) -> Reason:
    """Why a position of a department differs between two states of a month."""
    if position.billed_by is not None and evidence.decided.get(position.billed_by):
        return Reason("INVOICE_DIFFERENCE", _decided(evidence.decided[position.billed_by], position.billed_by))
    if position.kind != "lines":
        why = SECTIONS.get(position.kind, "CHARGE_CORRECTION")
        return Reason(why, f"{position.kind} {' '.join(position.key)}, computed again")
    provider, model, name, price_id = position.use
    unit = (provider, model, name)
    code = price_code(price_id)
    was, became = before.known.get((department, unit), {}), now.known.get((department, unit), {})
    grew = sum(became.values()) - sum(was.values())
    here = became.get(code, 0) - was.get(code, 0)
    if not grew:
        return _price(code, was, became) if here else _rates(department, unit, before, now)
    if here * grew < 0:
        return _price(code, was, became)
    if not here:
        return _rates(department, unit, before, now)
    return _usage(department, unit, grew, before, now, evidence)


def _decided(said: Sequence[str], vendor: str) -> str:
    """`breaks of openai: PRICE 2026-10-1f2e3d4c5b accepted`, for the first few."""
    more = f" and {len(said) - DECISIONS_NAMED_MAX} more" if len(said) > DECISIONS_NAMED_MAX else ""
    return f"breaks of {vendor}: {', '.join(said[:DECISIONS_NAMED_MAX])}{more}"


def _price(code: PriceCode, was: Mapping[PriceCode, int], became: Mapping[PriceCode, int]) -> Reason:
    changed = (other for other in {*was, *became} if other != code and was.get(other, 0) != became.get(other, 0))
    others = ", ".join(sorted(other for other in changed if other is not None))
    if became.get(code, 0) < was.get(code, 0):
        return Reason("PRICE_CORRECTION", f"no longer price row {code}" + (f", now {others}" if others else ""))
    if was.get(None, 0) > became.get(None, 0):
        return Reason("PRICE_CORRECTION", f"price row {code}, where the closed statement had no price")
    return Reason("PRICE_CORRECTION", f"price row {code}" + (f" instead of {others}" if others else ""))


def _rates(department: Department, unit: Unit, before: Books, now: Books) -> Reason:
    was, became = before.rates.get((department, unit), set()), now.rates.get((department, unit), set())
    if was == became:
        return Reason("PRICE_CORRECTION", "the terms of its price changed")
    gained = ", ".join(f"{rate} of {day}" for day, rate in sorted(became - was)) or "none"
    lost = ", ".join(f"{rate} of {day}" for day, rate in sorted(was - became))
    return Reason("RATE_CORRECTION", f"exchange rate {gained}" + (f" instead of {lost}" if lost else ""))


def _usage(department: Department, unit: Unit, grew: int, before: Books, now: Books, evidence: Evidence) -> Reason:
    model = (department, unit[0], unit[1])
    if grew < 0 and evidence.copies and model in evidence.copied:
        return Reason("COPY_REMOVED", f"copies with another time were taken out of {unit[1]}")
    late = evidence.late.get(model, ())
    if late and grew > 0:
        came = sum(one.events for one in late)
        redriven = came == sum(one.redriven for one in late)
        return Reason("REDRIVEN" if redriven else "LATE_USAGE", _events(late, "from quarantine" if redriven else ""))
    everywhere = _total(now, unit) - _total(before, unit)
    if not everywhere or grew < 0:
        return Reason("ATTRIBUTION_CORRECTION", f"{grew:+d} {unit[2]} attributed anew")
    return Reason("LATE_USAGE", f"{grew:+d} {unit[2]} after the close")


def _events(late: Sequence[LateEvents], what: str) -> str:
    """`3 events after offset 118 of partition 2`, for the first few partitions."""
    named = [
        f"{one.events} event{'s' if one.events != 1 else ''}"
        + (f" after offset {one.after}" if one.after >= 0 else "")
        + f" of partition {one.partition}"
        for one in late[:PARTITIONS_NAMED_MAX]
    ]
    left = late[PARTITIONS_NAMED_MAX:]
    if left:
        named.append(f"{sum(one.events for one in left)} events of {len(left)} other partitions")
    return "; ".join(named) + (f" ({what})" if what else "")


def _total(books: Books, unit: Unit) -> int:
    return sum(sum(prices.values()) for (_, of), prices in books.known.items() if of == unit)
