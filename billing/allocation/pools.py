"""What there is to share in a month, in the statement's currency, rule by rule.

* `fixed`: the rule's amount; in another currency by the rate of the month's fixed day (`Conversion.for_month`).
* `term`: shortfalls of contract terms (`billing.terms.pools`). A rule that names a term takes it, a rule for `term`
  takes what is left, and what no rule takes is shared by cost: it is owed, so it must stand on some statement.
* `invoice_tax`, `invoice_fee`, `invoice_credit`: lines of that kind on the vendor's invoice of its own month of the
  same name, as imported and not superseded; each day's by that day's rate or by the vendor's policy. Credits are
  negative.
* `invoice_difference`: the vendor's breaks of that month that were accepted or written off, without those that the
  three kinds above share, and its rounding (`billing.breaks.shared`). Decided breaks that no rule takes are shared by
  cost: they are paid, so they must stand on some statement.
* `unattributed`: the unattributed account's own cost and computed tax. Corrections are not part of it: a correction of
  a closed month corrects that month's shares.

An amount without a rate is unknown, never 0: the pool is not shared, and the unattributed account's statement says so.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.allocation.sharing import UNATTRIBUTED_POOL, SharedPool
from billing.breaks.shared import (
    OWN_POOLS,
    decided_amounts,
    decided_documents,
    decided_vendors,
    tolerated_amounts,
)
from billing.errors import BillingError
from billing.invoices.vendor_store import read_register
from billing.ledger.positions import DIFFERENCE_POOL
from billing.money import exact_text, plain
from billing.periods import month_in
from billing.tax import is_computed
from billing.terms.pools import read_pools

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from decimal import Decimal

    from billing.allocation.rules import Rule
    from billing.fx import FxRow
    from billing.fx_policy import Conversion
    from billing.invoices.vendors import Vendor

LINE_KINDS = {"invoice_tax": "tax", "invoice_fee": "fee", "invoice_credit": "credit"}


def read_month_pools(
    connection: Connection, rules: Iterable[Rule], conversion: Conversion, unattributed: Fraction
) -> list[SharedPool]:
    """Every pool of a month by its rule, then what no rule takes; the connection is a snapshot."""
    rules = list(rules)
    register: list[Vendor] | None = None
    pools = []
    for rule in rules:
        if rule.pool == "fixed":
            pools.append(_fixed(rule, conversion))
        elif rule.pool == UNATTRIBUTED_POOL:
            pools.append(SharedPool(rule.pool_name, rule, unattributed))
        elif rule.pool in LINE_KINDS:
            register = read_register(connection) if register is None else register
            assert rule.pool_of is not None
            lines = _invoice_amounts(connection, rule, conversion)
            about = _Billed(rule.pool_name, rule.pool_of, rule)
            pools.append(_in_our_currency(about, lines, conversion, register))
    return [*pools, *_term_pools(connection, rules, conversion), *_differences(connection, rules, conversion)]


def _differences(connection: Connection, rules: Iterable[Rule], conversion: Conversion) -> Iterator[SharedPool]:
    """The decided breaks of each vendor: by its rule, and without one by cost."""
    rules = list(rules)
    month = conversion.month.name
    takers = {rule.pool_of: rule for rule in rules if rule.pool == DIFFERENCE_POOL and rule.pool_of}
    vendors = sorted({*takers, *decided_vendors(connection, month)})
    if not vendors:
        return
    register = read_register(connection)
    days = month_in(month, "UTC").days
    for vendor in vendors:
        shared_elsewhere = {cls for cls, pool in OWN_POOLS.items()
                            if any((rule.pool, rule.pool_of) == (pool, vendor) for rule in rules)}  # fmt: skip
        if any(row.vendor == vendor and is_computed(row) and row.holds_within(days[0], days[-1]) for row in register):
            shared_elsewhere.add("TAX")
        amounts: list[tuple[date, str, Decimal]] = [*decided_amounts(connection, vendor, month, shared_elsewhere)]
        rule = takers.get(vendor)
        if rule is not None:
            amounts += tolerated_amounts(connection, vendor, month)
        elif not amounts:
            continue
        about = _Billed(f"{DIFFERENCE_POOL}:{vendor}", vendor, rule)
        pool = _in_our_currency(about, amounts, conversion, register)
        told = decided_documents(connection, vendor, month, shared_elsewhere)
        yield replace(pool, document={**pool.document, **told})


def _fixed(rule: Rule, conversion: Conversion) -> SharedPool:
    assert rule.amount is not None
    assert rule.currency is not None
    document: dict[str, Any] = {"amount": plain(rule.amount), "currency": rule.currency, "source": rule.source}
    if rule.currency == conversion.policy.currency:
        return SharedPool(rule.pool_name, rule, Fraction(rule.amount), document)
    row = conversion.for_month(rule.currency)
    if row is None:
        return SharedPool(rule.pool_name, rule, None, document, _no_rate(rule.currency, conversion))
    document["fx_rows"] = [_rate_document(row, rule.amount)]
    return SharedPool(rule.pool_name, rule, Fraction(rule.amount) * Fraction(row.rate), document)


def _term_pools(connection: Connection, rules: Iterable[Rule], conversion: Conversion) -> Iterator[SharedPool]:
    takers = {rule.pool_of: rule for rule in rules if rule.pool == "term"}
    try:
        pools = read_pools(connection, conversion.month, conversion.policy)
    except BillingError as error:  # a rate is missing: unknown, and shown where it would stand
        yield SharedPool("term", takers.get(None), None, {}, str(error))
        return
    for pool in pools:
        rule = takers.get(pool.name) or takers.get(None)
        yield SharedPool(f"term:{pool.name}", rule, pool.exact, {"kind": pool.kind, **pool.document})


def _invoice_amounts(
    connection: Connection, rule: Rule, conversion: Conversion
) -> list[tuple[date, str, Decimal]]:
    """(vendor's day, currency, amount) of lines of one kind on a vendor's invoice of its month."""
    days = month_in(conversion.month.name, "UTC").days
    rows = connection.execute(
        text("""select day, currency, sum(amount) from invoice_line_current
                where vendor = :vendor and kind = :kind and amount is not null and day between :first and :last
                group by day, currency order by day, currency"""),
        {"vendor": rule.pool_of, "kind": LINE_KINDS[rule.pool], "first": days[0], "last": days[-1]},
    )
    return [(day, currency, amount) for day, currency, amount in rows]


class _Billed(NamedTuple):
    """What a pool of a vendor's amounts is called, whose they are, and the rule that shares them."""

    name: str
    vendor: str
    rule: Rule | None


def _in_our_currency(
    about: _Billed, amounts: list[tuple[date, str, Decimal]], conversion: Conversion, register: Iterable[Vendor]
) -> SharedPool:
    """A pool of a vendor's amounts by day, each converted by the rate that holds for it."""
    rows = [vendor for vendor in register if vendor.vendor == about.vendor]
    total = Fraction(0)
    stated: dict[str, Fraction] = {}
    rates = []
    for day, currency, amount in amounts:
        stated[currency] = stated.get(currency, Fraction(0)) + Fraction(amount)
        rate = Fraction(1)
        if currency != conversion.policy.currency:
            row = conversion.for_invoice(currency, day, next((one for one in rows if one.holds(day)), None))
            if row is None:
                unknown = _no_rate(currency, conversion)
                return SharedPool(about.name, about.rule, None, {"vendor": about.vendor}, unknown)
            rates.append(_rate_document(row, amount))
            rate = Fraction(row.rate)
        total += Fraction(amount) * rate
    document: dict[str, Any] = {"vendor": about.vendor, "amounts": _amounts(stated), "fx_rows": rates}
    why = None if amounts else f"no such amount of {about.vendor} is known for {conversion.month.name}"
    return SharedPool(about.name, about.rule, total, document, why)


def _amounts(stated: dict[str, Fraction]) -> dict[str, str]:
    return {currency: exact_text(amount) for currency, amount in sorted(stated.items())}


def _rate_document(row: FxRow, amount: Decimal) -> dict[str, str]:
    return {
        "date": row.date.isoformat(),
        "base": row.base,
        "rate": plain(row.rate),
        "source": row.source,
        "amount": plain(amount),
    }


def _no_rate(currency: str, conversion: Conversion) -> str:
    return (
        f"there is no rate of {currency} in {conversion.policy.currency} for {conversion.month.name}: "
        "import one with `jangbu fx import FILE`"
    )
