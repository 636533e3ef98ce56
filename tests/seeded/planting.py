"""Faults of every class, planted into a clean month, each with the money that it adds noted beside it.

A fault changes what the vendor bills or what we saw; two in one group are planted one upon the other, so that the
second is counted on what the first has left (a dearer price on fewer tokens).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.seeded.months import PICO, RATE_STEPS, At, Plant, Row, SeededMonth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    Fault = Callable[[SeededMonth, Random], bool]

DEARER = ((1, 2), (4, 5), (11, 10), (6, 5), (5, 4), (2, 1), (137, 100))
"""Price changes as fractions: a half, a regional tenth, long prompts twice, and some that are nothing known."""
SCALES = (100, 1_000, 1_000_000)


def free(month: SeededMonth, random: Random) -> At | None:
    """A group that both sides have and no fault stands in; it is taken from now on."""
    billed = {row.at for row in month.rows}
    found = sorted(at for at in month.ours if at in billed and at not in month.taken)
    if not found:
        return None
    at = random.choice(found)
    month.taken.add(at)
    return at


def note(month: SeededMonth, cls: str, row_day: object, at: At | None, pico: int) -> None:
    """Keep what a fault adds."""
    month.plants.append(Plant(cls, at, row_day, pico))  # type: ignore[arg-type]


def quantity(month: SeededMonth, random: Random, at: At | None = None) -> bool:
    """The vendor counts more or fewer tokens, at our price."""
    at = at or free(month, random)
    if at is None:
        return False
    row = month.row_of(at)
    more = random.randint(row.tokens // 12 + 1, row.tokens // 3 + 1) * random.choice((1, -1))
    month.put(row, tokens=row.tokens + more, pico=row.pico + more * month.price(at))
    note(month, "QUANTITY", at.day, at, more * month.price(at))
    return True


def price(month: SeededMonth, random: Random, at: At | None = None) -> bool:
    """Another price for a model and unit: on one day, or from a day on."""
    one = at or free(month, random)
    if one is None:
        return False
    up, down = random.choice(DEARER)
    groups = [one]
    if at is None and random.random() < 0.4:
        later = [other for other in month.ours if other[1:] == one[1:] and other.day > one.day]
        billed = {row.at for row in month.rows}
        groups += [other for other in later if other not in month.taken and other in billed]
    for group in groups:
        month.taken.add(group)
        row = month.row_of(group)
        more = row.pico * up // down - row.pico
        month.put(row, pico=row.pico + more)
        note(month, "PRICE", group.day, group, more)
    return True


def unit_scale(month: SeededMonth, random: Random, at: At | None = None) -> bool:
    """An amount in another unit: cents for dollars, thousands for single tokens; sometimes the tokens with it."""
    at = at or free(month, random)
    if at is None:
        return False
    row, scale = month.row_of(at), random.choice(SCALES)
    tokens = row.tokens
    if scale == 1_000 and month.shape.grain == "cell" and at.unit != "requests" and random.random() < 0.3:
        tokens *= scale
    month.put(row, pico=row.pico * scale, tokens=tokens)
    note(month, "UNIT_SCALE", at.day, at, row.pico * (scale - 1))
    return True


def bypass(month: SeededMonth, random: Random) -> bool:
    """The vendor bills what never passed the gateway: a group, or a whole day where only days are told."""
    at = free(month, random)
    if at is None:
        return False
    groups = whole_day(month, at)
    for group in groups:
        note(month, "BYPASS", group.day, group, month.row_of(group).pico)
        del month.ours[group]
    return bool(groups)


def not_billed(month: SeededMonth, random: Random) -> bool:
    """We saw it, the vendor did not bill it."""
    at = free(month, random)
    if at is None:
        return False
    groups = whole_day(month, at)
    for group in groups:
        row = month.row_of(group)
        month.rows.remove(row)
        note(month, "NOT_BILLED", group.day, group, -row.pico)
    return bool(groups)


def whole_day(month: SeededMonth, at: At) -> list[At]:
    """The group alone; every group of its day where the file tells totals only. None if a fault stands there."""
    if month.shape.grain != "day" or month.shape.tells_quantity:
        return [at]
    groups = [other for other in month.ours if other.day == at.day]
    billed = {row.at for row in month.rows}
    if any(other in month.taken and other != at for other in groups) or not set(groups) <= billed:
        return []
    month.taken.update(groups)
    return groups


def unknown_model(month: SeededMonth, random: Random) -> bool:
    """A model that no map and no price knows. On a day of totals it stands alone: one sum cannot tell two unknowns."""
    touched = {one.day for one in month.taken} if month.shape.grain == "day" else set()
    days = sorted({at.day for at in month.ours} - touched)
    if not days:
        return False
    day = random.choice(days)
    if month.shape.grain == "day":
        month.taken.update(at for at in month.ours if at.day == day)
    account = random.choice(month.shape.accounts)
    at = At(day, f"{month.shape.stranger}-{random.randint(1, 99)}", "output_tokens", account)
    if any(row.at is not None and row.at[:2] == at[:2] for row in month.rows):
        return False
    pico = random.randint(5, 90) * PICO * (1_000 if month.shape.currency == "KRW" else 1)
    month.rows.append(Row(day, "usage", random.randint(10_000, 2_000_000), pico, at))
    note(month, "UNKNOWN_MODEL", day, at, pico)
    return True


def period_edge(month: SeededMonth, random: Random) -> bool:
    """Use of one day billed on the next or the one before: some of it, or all."""
    at = free(month, random)
    if at is None:
        return False
    other = at.day + timedelta(random.choice((1, -1)))
    groups = [at] if month.shape.tells_quantity or month.shape.grain != "day" else whole_day(month, at)
    if other not in month.days or not groups:
        return False
    if len(groups) > 1 and any(one.day == other for one in month.taken):
        return False
    for group in groups:
        target = group._replace(day=other)
        row = month.row_of(group)
        if target in month.taken or (target in month.ours and not any(one.at == target for one in month.rows)):
            if len(groups) == 1:
                return False
            continue
        there = next((one for one in month.rows if one.at == target), Row(other, "usage", 0, 0, target))
        moved = row.tokens if random.random() < 0.3 else random.randint(row.tokens // 10 + 1, row.tokens // 2 + 1)
        left = moved * month.price(group)
        come = moved * month.price(target)
        month.taken.add(target)
        month.put(row, tokens=row.tokens - moved, pico=row.pico - left)
        if there in month.rows:
            month.rows.remove(there)
        month.rows.append(Row(other, "usage", there.tokens + moved, there.pico + come, target))
        note(month, "PERIOD_EDGE", group.day, group, -left)
        note(month, "PERIOD_EDGE", other, target, come)
    if not month.shape.tells_quantity or month.shape.grain == "day":
        month.taken.update(one for one in month.ours if one.day in {at.day, other})
    month.rows = [row for row in month.rows if row.kind != "usage" or row.tokens or row.pico]
    return True


def month_edge(month: SeededMonth, random: Random) -> bool:
    """Use of some hours next to an edge of the month on the other month's bill."""
    billed = {row.at for row in month.rows}
    found = sorted({(one.at, one.inside) for one in month.beside} - {(at, side) for at in month.taken
                                                                     for side in (True, False)})  # fmt: skip
    found = [(at, inside) for at, inside in found if at in month.ours and at in billed]
    if not found:
        return False
    at, inside = random.choice(found)
    hours = random.randint(1, 9)
    tokens = sum(one.tokens for one in month.beside if (one.at, one.inside) == (at, inside) and one.hour < hours)
    month.taken.add(at)
    row, moved = month.row_of(at), -tokens if inside else tokens
    month.put(row, tokens=row.tokens + moved, pico=row.pico + moved * month.price(at))
    note(month, "PERIOD_EDGE", at.day, at, moved * month.price(at))
    return True


def other_zone(month: SeededMonth, random: Random) -> bool:
    """All days of a series begin some hours earlier than ours, or only those from a day on (summer time)."""
    at = free(month, random)
    if at is None or at.unit == "requests":
        return False
    since = random.choice((month.days[0], at.day))
    days = [one for one in month.days if one >= since and at._replace(day=one) in month.ours]
    series = [at._replace(day=one) for one in days]
    touched = {one._replace(day=one.day + timedelta(1)) for one in series} | set(series)
    billed = {row.at for row in month.rows}
    if (touched - {at}) & month.taken or not set(series) <= billed:
        return False
    hours = random.randint(1, 9)
    moves: dict[At, int] = {}
    for one in series:
        late = sum(b.tokens for b in month.beside if b.at == one and b.inside and b.hour < hours)
        goes = late if one.day == month.days[-1] else month.ours[one] * hours // random.randint(25, 60)
        moves[one] = moves.get(one, 0) - goes
        if one.day != month.days[-1]:
            next_day = one._replace(day=one.day + timedelta(1))
            moves[next_day] = moves.get(next_day, 0) + goes
    first = at._replace(day=month.days[0])
    if since == month.days[0] and first in moves:
        moves[first] += sum(b.tokens for b in month.beside if b.at == first and not b.inside and b.hour < hours)
    month.taken.update(touched)
    for place, tokens in moves.items():
        row = next((row for row in month.rows if row.at == place), None)
        worth = tokens * month.price(place)
        if row is None:
            month.rows.append(Row(place.day, "usage", tokens, worth, place))
        else:
            month.put(row, tokens=row.tokens + tokens, pico=row.pico + worth)
        note(month, "PERIOD_EDGE", place.day, place, worth)
    return True


def unexplained(month: SeededMonth, random: Random) -> bool:
    """A row beside the right one: money, and a quantity of 0."""
    at = free(month, random)
    if at is None:
        return False
    pico = random.randint(1_001, 90_001) * PICO // 1_000 * (1_000 if month.shape.currency == "KRW" else 1)
    month.rows.append(Row(at.day, "usage", 0, pico, at))
    note(month, "UNEXPLAINED", at.day, at, pico)
    return True


def other_name(month: SeededMonth, random: Random) -> bool:
    """A model billed under a name that nobody mapped: that name is unknown, and ours is not billed."""
    at = free(month, random)
    if at is None:
        return False
    row = month.row_of(at)
    there = at._replace(model=f"{month.shape.stranger}-{random.randint(1, 99)}")
    month.put(row, at=there)
    note(month, "UNKNOWN_MODEL", at.day, there, row.pico)
    note(month, "NOT_BILLED", at.day, at, -row.tokens * month.price(at))
    return True


def page_again(month: SeededMonth, random: Random) -> bool:
    """A page of a listing stands twice: every row of use of a day, whatever else is wrong on that day."""
    days = sorted({row.day for row in month.rows if row.kind == "usage"})
    day = random.choice(days)
    rows = [row for row in month.rows if row.day == day and row.at is not None]
    if any(rows.count(row) > 1 or not row.tokens for row in rows):
        return False
    month.rows += rows
    for row in rows:
        assert row.at is not None
        month.taken.add(row.at)
        note(month, "DUPLICATE", day, row.at, row.pico)
    return True


def unit_class(month: SeededMonth, random: Random, at: At | None = None) -> bool:
    """Fresh input billed as cached, or the other way about: the total is the same."""
    at = at or free(month, random)
    if at is None or at.unit not in {"input_tokens", "cache_read_tokens"}:
        return False
    other = at._replace(unit="cache_read_tokens" if at.unit == "input_tokens" else "input_tokens")
    if other in month.taken or other not in month.ours or not any(row.at == other for row in month.rows):
        return False
    month.taken.add(other)
    here, there = month.row_of(at), month.row_of(other)
    moved = random.randint(here.tokens // 6 + 1, here.tokens // 2 + 1)
    month.put(here, tokens=here.tokens - moved, pico=here.pico - moved * month.price(at))
    month.put(there, tokens=there.tokens + moved, pico=there.pico + moved * month.price(other))
    note(month, "UNIT_CLASS", at.day, at, -moved * month.price(at))
    note(month, "UNIT_CLASS", at.day, other, moved * month.price(other))
    return True


def duplicate(month: SeededMonth, random: Random, at: At | None = None) -> bool:
    """The same row once more."""
    at = at or free(month, random)
    if at is None:
        return False
    row = month.row_of(at)
    month.rows.append(row)
    note(month, "DUPLICATE", at.day, at, row.pico)
    return True


def foreign_rate(month: SeededMonth, random: Random) -> bool:
    """The vendor converts at a rate of its own, the same for all days that ours has one for."""
    if not month.rates or month.plants:
        return False
    own = random.randint(130_000, 150_000)
    for at in month.ours:
        row = month.row_of(at)
        pico = row.tokens * month.prices[at.model, at.unit] * own // RATE_STEPS
        month.put(row, pico=pico)
        note(month, "FX", at.day, at, pico - row.pico)
    month.taken.update(month.ours)
    return True


def extra(cls: str, kind: str) -> Fault:
    """A row that is no use."""

    def plant(month: SeededMonth, random: Random) -> bool:
        if any(row.kind == kind for row in month.rows):
            return False
        sign = -1 if kind == "credit" else 1
        unit = PICO * (1_000 if month.shape.currency == "KRW" else 1) // 100
        day = month.days[-1] if month.shape.grain == "month" else random.choice([at.day for at in month.ours])
        row = Row(day, kind, 0, sign * random.randint(50, 50_000) * unit)
        month.rows.append(row)
        note(month, cls, day, None, row.pico)
        return True

    return plant


FAULTS: dict[str, Fault] = {
    "TAX": extra("TAX", "tax"), "CREDIT_OR_DISCOUNT": extra("CREDIT_OR_DISCOUNT", "credit"), "FEE": extra("FEE", "fee"),
    "DUPLICATE": duplicate, "UNKNOWN_MODEL": unknown_model, "PERIOD_EDGE": period_edge, "BYPASS": bypass,
    "NOT_BILLED": not_billed, "UNIT_SCALE": unit_scale, "UNIT_CLASS": unit_class, "QUANTITY": quantity,
    "PRICE": price, "FX": foreign_rate, "UNEXPLAINED": unexplained, "edge of the month": month_edge,
    "another zone": other_zone, "another name": other_name, "a page again": page_again,
}  # fmt: skip
UPON = {"QUANTITY": quantity, "PRICE": price, "UNIT_SCALE": unit_scale, "DUPLICATE": duplicate}
IN_ONE_GROUP = (
    ("QUANTITY", "PRICE"), ("QUANTITY", "UNIT_SCALE"), ("PRICE", "UNIT_SCALE"), ("QUANTITY", "PRICE", "UNIT_SCALE"),
    ("PRICE", "DUPLICATE"), ("QUANTITY", "DUPLICATE"), ("QUANTITY", "PRICE", "DUPLICATE"),
    ("UNIT_SCALE", "DUPLICATE"),
)  # fmt: skip
"""Causes that stand in one group at once, in the order in which they are planted."""


def plant_faults(month: SeededMonth, random: Random, names: Sequence[str]) -> None:
    """Plant the named faults, in groups of their own."""
    for name in names:
        if FAULTS[name](month, random):
            month.kinds.append(name)


def plant_in_one_group(month: SeededMonth, random: Random, names: Sequence[str]) -> None:
    """Plant several causes into one group, each upon what the ones before have left."""
    at = free(month, random)
    if at is None:
        return
    for name in names:
        UPON[name](month, random, at)
    month.kinds.append(" + ".join(names))


def rounded(month: SeededMonth) -> None:
    """Round each row as the shape's file writes it; where the file writes the month's sum only, round that."""
    shape, use = month.shape, [row for row in month.rows if row.kind == "usage"]
    if shape.grain == "month" and not shape.tells_quantity and use:
        total = sum(row.pico for row in use)
        month.put(use[-1], pico=use[-1].pico + shape.billed(total) - total)
        return
    month.rows = [replace(row, pico=shape.billed(row.pico)) if row.kind == "usage" else row for row in month.rows]
