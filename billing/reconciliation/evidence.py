"""What breaks say beyond their own group: since when a rate holds, how long use is not billed, which streams broke off.

Nothing here moves money or changes a class. A proposal for the price book is a line of a price file that a person may
import; nothing writes it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import plain
from billing.reconciliation.groups import Break, BreakClass, Hint
from billing.reconciliation.worth import PER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.reconciliation.groups import Policy

LATE_DAYS = 45
"""A vendor that has billed nothing for so long rarely does (issue: hints)."""
NAMED_MAX = 20
PROPOSAL_COLUMNS = (
    "provider", "model", "unit", "service_tier", "region", "prompt_above", "currency", "price", "per", "valid_from",
    "valid_to", "source",
)  # fmt: skip


def with_evidence(breaks: Sequence[Break], policy: Policy) -> list[Break]:
    """The breaks with what others of the month say about them; amounts and classes as they were."""
    rates: dict[tuple[object, ...], list[Break]] = defaultdict(list)
    silent: dict[tuple[object, ...], str | None] = {
        (one.key.day, one.key.unit, one.ours.quantity): one.key.model
        for one in breaks
        if one.cls is BreakClass.NOT_BILLED and one.ours is not None and one.ours.quantity
    }
    for one in breaks:
        if one.cls is BreakClass.PRICE and one.vendor_price is not None:
            rates[_rate_key(one)].append(one)
    return [_with_twin(_one(found, rates, policy), silent) for found in breaks]


def _with_twin(found: Break, silent: Mapping[tuple[object, ...], str | None]) -> Break:
    """A name that nothing knows, billed for exactly as many tokens as we saw of a model that is not billed."""
    if found.cls is not BreakClass.UNKNOWN_MODEL or found.vendor is None or found.ours is not None:
        return found
    twin = silent.get((found.key.day, found.key.unit, found.vendor.quantity))
    if twin is None:
        return found
    said = f"; we saw exactly as many of {twin} on this day, which is not billed"
    return replace(found, why=f"{found.why}{said}: `jangbu vendor map import` if it is that")


def _one(found: Break, rates: dict[tuple[object, ...], list[Break]], policy: Policy) -> Break:
    if found.cls is BreakClass.PRICE and found.vendor_price is not None:
        return _with_rate(found, rates[_rate_key(found)], policy)
    if found.cls is BreakClass.NOT_BILLED and policy.today is not None:
        days = (policy.today - found.key.day).days
        if days >= LATE_DAYS:
            late = f"; that is {days} days ago, and what is not billed after {LATE_DAYS} rarely comes"
            return replace(found, why=f"{found.why}{late}: ask the vendor, or take back what was accrued")
    if found.cls is BreakClass.QUANTITY and found.key.model is not None:
        cut = _cut_calls(found, policy)
        if cut:
            calls = "1 call" if cut == 1 else f"{cut} calls"
            said = f"; {calls} of this group broke off (status cut), where vendors count on and we see no more"
            return replace(found, why=found.why + said)
    return found


def _cut_calls(found: Break, policy: Policy) -> int:
    """Calls of the break's day, account and model that broke off."""
    assert found.key.model is not None
    name = found.key.model.lower()
    return sum(
        calls
        for (day, account, model), calls in policy.cut_calls.items()
        if day == found.key.day and model == name and found.key.account in (None, account)
    )


def _rate_key(found: Break) -> tuple[object, ...]:
    key = found.key
    return (key.model, key.unit, key.account, key.service_tier, _short(found))


def _short(found: Break) -> Decimal:
    """The vendor's price of a million, to six digits: what rounding of rows moves is the same rate."""
    assert found.vendor_price is not None
    return Decimal(f"{found.vendor_price * PER:.6g}")


def _with_rate(found: Break, alike: Sequence[Break], policy: Policy) -> Break:
    since = min(one.key.day for one in alike)
    rows = sum(one.rows for one in alike)
    why = f"{found.why}; {rows} line{'' if rows == 1 else 's'} at this rate since {since}"
    if policy.provider is None or found.key.model is None or found.key.unit is None:
        return replace(found, why=why)
    begins = policy.day_starts.get(since, f"{since}T00:00:00Z")
    tier = found.key.service_tier or "standard"
    cells = (policy.provider, found.key.model, found.key.unit, tier, "", "", policy.currency, plain(_short(found)),
             str(PER), begins, "", "invoice")  # fmt: skip
    if policy.rates:
        return replace(found, why=why)
    return replace(found, why=why, proposal=",".join(cells))


def hints_of(breaks: Iterable[Break]) -> list[Hint]:
    """One hint for BYPASS and one for NOT_BILLED: which keys or accounts, models and days they stand on."""
    hints = []
    for cls, what in ((BreakClass.BYPASS, "billed and never passed the gateway"),
                      (BreakClass.NOT_BILLED, "passed the gateway and not billed")):  # fmt: skip
        found = [one for one in breaks if one.cls is cls]
        if not found:
            continue
        accounts = tuple(sorted({one.key.account for one in found if one.key.account is not None}))
        models = tuple(sorted({one.key.model for one in found if one.key.model is not None}))
        days = tuple(sorted({one.key.day for one in found}))
        amount = sum((one.amount for one in found), Decimal(0))
        text = (
            f"{what}: {plain(amount)} on {len(days)} day{'' if len(days) == 1 else 's'} from {days[0]} to {days[-1]}, "
            f"models {_named(models)}, keys or accounts {_named(accounts)}"
        )
        hints.append(Hint(cls, amount, accounts, models, days, text))
    return hints


def _named(names: Sequence[str]) -> str:
    if not names:
        return "not told"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more
