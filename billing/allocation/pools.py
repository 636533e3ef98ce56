"""What there is to share in a month, in the statement's currency, rule by rule.

* `fixed`: the rule's amount; in another currency by the rate of the month's fixed day (`Conversion.for_month`).
* `term`: shortfalls of contract terms (`billing.terms.pools`). A rule that names a term takes it, a rule for `term`
  takes what is left, and what no rule takes is shared by cost: it is owed, so it must stand on some statement.
* `invoice_tax`, `invoice_fee`, `invoice_credit`: lines of that kind on the vendor's invoice of its own month of the
  same name, as imported and not superseded; each day's by that day's rate or by the vendor's policy. Credits are
  negative.
* `invoice_difference`: the breaks of the vendor's last recorded reconciliation of that month, without those of the
  three kinds above.
* `unattributed`: the unattributed account's own cost and computed tax. Corrections are not part of it: a correction of
  a closed month corrects that month's shares.

An amount without a rate is unknown, never 0: the pool is not shared, and the unattributed account's statement says so.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.allocation.sharing import UNATTRIBUTED_POOL, SharedPool
from billing.errors import BillingError
from billing.invoices.vendor_store import read_register
from billing.money import exact_text, plain
from billing.periods import month_in
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
OWN_POOLS = ("TAX", "CREDIT_OR_DISCOUNT", "FEE")
"""Classes of breaks that pools of their own share."""


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
        elif rule.pool != "term":
            register = read_register(connection) if register is None else register
            lines = _invoice_amounts(connection, rule, conversion)
            pools.append(_in_our_currency(rule, lines, conversion, register))
    return pools + list(_term_pools(connection, rules, conversion))


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
    """(vendor's day, currency, amount) of a vendor's month, from its invoice or its reconciliation."""
    days = month_in(conversion.month.name, "UTC").days
    if rule.pool in LINE_KINDS:
        rows = connection.execute(
            text("""select day, currency, sum(amount) from invoice_line_current
                    where vendor = :vendor and kind = :kind and amount is not null and day between :first and :last
                    group by day, currency order by day, currency"""),
            {"vendor": rule.pool_of, "kind": LINE_KINDS[rule.pool], "first": days[0], "last": days[-1]},
        )
    else:
        rows = connection.execute(
            text("""select coalesce(cast(b.key ->> 'day' as date), :last) as day, r.currency, sum(b.amount)
                    from reconciliation r join reconciliation_break b on b.reconciliation_id = r.id
                    where r.id in (select max(id) from reconciliation where vendor = :vendor and month = :month
                                   group by currency)
                      and b.class <> all(:own_pools)
                    group by 1, 2 order by 1, 2"""),
            {"vendor": rule.pool_of, "month": conversion.month.name, "last": days[-1], "own_pools": list(OWN_POOLS)},
        )
    return [(day, currency, amount) for day, currency, amount in rows]


def _in_our_currency(
    rule: Rule, amounts: list[tuple[date, str, Decimal]], conversion: Conversion, register: Iterable[Vendor]
) -> SharedPool:
    """A pool of a vendor's amounts by day, each converted by the rate that holds for it."""
    rows = [vendor for vendor in register if vendor.vendor == rule.pool_of]
    total = Fraction(0)
    stated: dict[str, Fraction] = {}
    rates = []
    for day, currency, amount in amounts:
        stated[currency] = stated.get(currency, Fraction(0)) + Fraction(amount)
        rate = Fraction(1)
        if currency != conversion.policy.currency:
            row = conversion.for_invoice(currency, day, next((one for one in rows if one.holds(day)), None))
            if row is None:
                return SharedPool(
                    rule.pool_name, rule, None, {"vendor": rule.pool_of}, _no_rate(currency, conversion)
                )
            rates.append(_rate_document(row, amount))
            rate = Fraction(row.rate)
        total += Fraction(amount) * rate
    document: dict[str, Any] = {"vendor": rule.pool_of, "amounts": _amounts(stated), "fx_rows": rates}
    why = None if amounts else f"no such amount of {rule.pool_of} is known for {conversion.month.name}"
    return SharedPool(rule.pool_name, rule, total, document, why)


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
