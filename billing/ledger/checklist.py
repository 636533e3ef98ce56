"""What stands between a month and its close, as a list that a person can work off (contract.md, section 9, Close).

Open breaks, quarantine, unpriced, unconverted and unattributed use block unless they are accepted by name; what has no
way round (the month has not ended, an earlier one is open, a law is violated) blocks in any case; missing and
provisional invoices are accrued and only warned about.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import Connection, text

from billing.breaks.worklist import count_breaks
from billing.invoices.reading import covered_days
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import BUILT_IN, Vendor
from billing.ledger.closes import month_after, read_closes
from billing.ledger.corrections import find_corrections
from billing.ledger.reconciled import stale_reconciliations
from billing.periods import hour_start, load_zone, month_in, month_of_hour
from billing.sentences import Listed, Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.ledger.closes import Close
    from billing.rating import PriceStatus
    from billing.statements import MonthStatements

State = Literal["ok", "warn", "block"]
ACCEPTABLE = ("quarantine", "unpriced", "unconverted", "unattributed", "reconciled", "breaks")
"""What a close goes past when it is named by --accept."""
NAMED_MAX = 3
PRICES_FIRST = Sentence("import prices with `jangbu price import FILE`")
RATES_FIRST = Sentence("import rates with `jangbu fx import FILE`")
QUARANTINE_BACK = timedelta(days=1)
"""An event may be somewhat later than its record (setting max_event_ahead_seconds, at most a year by far): records in
quarantine count from a day before the month."""


class Check(NamedTuple):
    """One item of the list; `remedy` is empty where nothing is to be done."""

    name: str
    state: State
    sentence: str
    remedy: str = ""

    def document(self) -> dict[str, object]:
        """As `period status --json` prints it."""
        return {**self._asdict(), "acceptable": self.name in ACCEPTABLE}


def make_checklist(
    connection: Connection, computed: MonthStatements, now: datetime, outside: Iterable[Check] = (), *,
    is_rebuilt: bool = False,
) -> tuple[Check, ...]:  # fmt: skip
    """Every item for an open month; the connection is a snapshot. `outside`: items about what billing cannot see.

    `is_rebuilt`: sums are those of events up to the month's end, in the organisation's zone (`from_events`).
    """
    closes = read_closes(connection)
    last = closes[-1] if closes else None
    return (
        ended(computed, now),
        _order(connection, computed, last),
        _settings(computed, last),
        *outside,
        _quarantine(connection, computed, closes),
        _unpriced(connection, computed),
        unconverted(computed),
        unattributed(computed),
        _invoices(connection, computed, now),
        _reconciled(connection, computed.month.name, now, is_rebuilt=is_rebuilt),
        _breaks(connection, computed.month.name),
    )


def blockers(checks: Iterable[Check], accepted: Sequence[str]) -> list[Check]:
    """The items that stand against a close."""
    return [check for check in checks if check.state == "block" and
            not (check.name in accepted and check.name in ACCEPTABLE)]  # fmt: skip


def ended(computed: MonthStatements, now: datetime) -> Check:
    """A month must be over, in the organisation's zone."""
    month = computed.month
    end = hour_start(month.end_hour)
    local = end.astimezone(load_zone(month.zone)).strftime("%Y-%m-%d %H:%M")
    if now >= end:
        sentence = Sentence("%(month)s ended on %(moment)s %(zone)s", month=month.name, moment=local, zone=month.zone)
        return Check("ended", "ok", sentence)
    sentence = Sentence(
        "%(month)s has not ended: it does on %(moment)s %(zone)s", month=month.name, moment=local, zone=month.zone
    )
    return Check("ended", "block", sentence, Sentence("wait until then"))


def unattributed(computed: MonthStatements) -> Check:
    """The share of the month's cost that no department is known for, against the limit of the settings."""
    found = computed.of(None)
    cost = Fraction(0) if found is None else max(Fraction(0), found.exact_total)
    share = cost / computed.exact_total if computed.exact_total > 0 else Fraction(0)
    limit = Fraction(computed.policy.unattributed_limit)
    sentence = Sentence(
        "%(share)s of the cost is attributed to nobody; the limit is %(limit)s",
        share=_percent(share), limit=_percent(limit),
    )  # fmt: skip
    if share <= limit:
        return Check("unattributed", "ok" if not cost else "warn", sentence)
    remedy = Sentence("import who they belong to with `jangbu roster import FILE`")
    return Check("unattributed", "block", sentence, remedy)


def unconverted(computed: MonthStatements) -> Check:
    """Use, and shared costs, that no rate converts."""
    check = _open_use(computed, "unconverted")
    found = computed.of(None)
    pools = [] if found is None else [one.charge.document for one in found.charges
                                      if one.charge.section == "allocated"
                                      and one.charge.document.get("pool_amount", "") is None]  # fmt: skip
    if check.state == "block" or not pools:
        return check
    named = "; ".join(f"{one['rule']} ({one['pool']}): {one['why']}" for one in pools[:NAMED_MAX])
    sentence = Sentence("%(count)s shared costs have no rate: %(named)s", count=len(pools), named=named)
    return Check("unconverted", "block", sentence, RATES_FIRST)


def accrued_providers(connection: Connection, computed: MonthStatements) -> frozenset[str]:
    """The providers whose invoices do not cover the month. By what was imported, not by the clock: it is booked."""
    return frozenset(gap.provider for gap in _invoice_gaps(connection, computed, None))


def earliest_open_use(connection: Connection, computed: MonthStatements, last: Close | None) -> str | None:
    """The first open month before this one that holds use, or None."""
    hour = connection.execute(
        text("""select min(hour) from (select hour from usage_part where hour < :first and hour >= :since
                                       group by hour having sum(events) <> 0) used"""),
        {"first": computed.month.first_hour, "since": -(2**31) if last is None else last.month.end_hour},
    ).scalar()
    return None if hour is None else month_of_hour(int(hour), computed.policy.zone)


def _order(connection: Connection, computed: MonthStatements, last: Close | None) -> Check:
    name = computed.month.name
    earlier = earliest_open_use(connection, computed, last)
    if earlier is not None:
        return Check("order", "block", Sentence("%(month)s holds use and is open", month=earlier), _first(earlier))
    if last is not None and name > month_after(last.month.name):
        waiting = month_after(last.month.name)
        if any(one.charges for one in find_corrections(connection, waiting)):
            sentence = Sentence("corrections of closed months wait for %(month)s", month=waiting)
            return Check("order", "block", sentence, _first(waiting))
    return Check("order", "ok", Sentence("every earlier month with use is closed"))


def _first(month: str) -> Sentence:
    return Sentence("close it first: `jangbu period close %(month)s`", month=month)


def _settings(computed: MonthStatements, last: Close | None) -> Check:
    """Hours may be neither counted twice nor left out, and corrections are in one currency."""
    policy = computed.policy
    if last is not None and policy.currency != last.policy.currency:
        sentence = Sentence(
            "the currency is %(currency)s, %(month)s was closed in %(then)s",
            currency=policy.currency, month=last.month.name, then=last.policy.currency,
        )  # fmt: skip
        return Check("settings", "block", sentence, Sentence("set %(setting)s",
                     setting=f"JANGBU_CURRENCY={last.policy.currency}"))  # fmt: skip
    if last is not None and month_in(last.month.name, policy.zone).end_hour != last.month.end_hour:
        sentence = Sentence(
            "the zone is %(zone)s; %(month)s was closed in %(then)s, other hours",
            zone=policy.zone, month=last.month.name, then=last.policy.zone,
        )  # fmt: skip
        return Check("settings", "block", sentence, Sentence("set %(setting)s",
                     setting=f"JANGBU_TIMEZONE={last.policy.zone}"))  # fmt: skip
    sentence = Sentence("months of %(zone)s, in %(currency)s", zone=policy.zone, currency=policy.currency)
    return Check("settings", "ok", sentence)


def _quarantine(connection: Connection, computed: MonthStatements, closes: Sequence[Close]) -> Check:
    """Records that a person has to decide about. Copies that were taken out are decided, and so is what was sent
    again, what somebody dismissed, and what an earlier close was told to accept."""
    decided = max((close.inputs["quarantine"] for close in closes if "quarantine" in close.accepted), default=0)
    rows = connection.execute(
        text("""select code, count(*) filter (where state = 'open' and id > :decided) as open,
                       count(*) filter (where state = 'dismissed') as dismissed
                from quarantine where code <> 'duplicate_other_time' and record_time >= :since
                group by code order by open desc, code"""),
        {"since": hour_start(computed.month.first_hour) - QUARANTINE_BACK, "decided": decided},
    ).all()
    count, dismissed = (sum(int(row[place]) for row in rows) for place in (1, 2))
    beside = Sentence("; %(count)s dismissed", count=dismissed) if dismissed else ""
    if not count:
        return Check("quarantine", "ok", Sentence("nothing is in quarantine%(beside)s", beside=beside))
    kinds = ", ".join(f"{row.open} {row.code}" for row in rows[:NAMED_MAX] if row.open)
    one = Sentence("1 record is in quarantine (%(kinds)s)%(beside)s", kinds=kinds, beside=beside)
    more = Sentence("%(count)s records are in quarantine (%(kinds)s)%(beside)s", count=f"{count:,}", kinds=kinds,
                    beside=beside)  # fmt: skip
    remedy = Sentence("look at `jangbu quarantine list`; mend and `jangbu quarantine redrive`, or `dismiss`")
    return Check("quarantine", "block", one if count == 1 else more, remedy)


def _unpriced(connection: Connection, computed: MonthStatements) -> Check:
    check = _open_use(computed, "unpriced")
    if check.state == "block":
        return check
    late = [one for one in find_corrections(connection, computed.month.name) if one.late_unpriced]
    if not late:
        return check
    months = Listed(
        (Sentence("%(count)s of %(month)s", count=f"{one.late_unpriced:,}", month=one.month)
         for one in late[:NAMED_MAX]), ", ",
    )  # fmt: skip
    sentence = Sentence("use came without a price for closed months: %(months)s", months=months)
    return Check("unpriced", "block", sentence, PRICES_FIRST)


def _open_use(computed: MonthStatements, status: PriceStatus) -> Check:
    quantities: dict[str, int] = {}
    for statement in computed.statements:
        for line in statement.lines:
            if line.key.status == status:
                name = f"{line.key.provider}/{line.key.model} {line.key.unit}"
                quantities[name] = quantities.get(name, 0) + line.quantity
    lacks_price = status == "unpriced"
    if not quantities:
        return Check(status, "ok", Sentence("all use has a price") if lacks_price else Sentence("all use has a rate"))
    largest = sorted(quantities.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{quantity:,} {name}" for name, quantity in largest[:NAMED_MAX])
    left = len(largest) - NAMED_MAX
    more = Sentence(" and %(count)s more", count=left) if left > 0 else ""
    values = {"count": f"{sum(quantities.values()):,}", "named": named, "more": more}
    if lacks_price:
        sentence = Sentence("%(count)s units of use have no price: %(named)s%(more)s", **values)
        return Check(status, "block", sentence, PRICES_FIRST)
    sentence = Sentence("%(count)s units of use have no rate: %(named)s%(more)s", **values)
    return Check(status, "block", sentence, RATES_FIRST)


def _invoices(connection: Connection, computed: MonthStatements, now: datetime) -> Check:
    gaps = _invoice_gaps(connection, computed, now)
    if not gaps:
        return Check("invoices", "ok", Sentence("the invoices of every provider in use are there and final"))
    remedy = Sentence("`jangbu invoice import FILE --vendor V`; what differs later is corrected in an open month")
    unknown = [gap.provider for gap in gaps if gap.sentence is None]
    told = [gap.sentence for gap in gaps if gap.sentence is not None]
    if unknown:
        told.append(Sentence("no vendor is registered for %(providers)s", providers=", ".join(unknown)))
        remedy = Sentence("`jangbu vendor import FILE`, %(then)s", then=remedy)
    return Check("invoices", "warn", Sentence("accrued: %(gaps)s", gaps=Listed(told)), remedy)


class _Gap(NamedTuple):
    """`sentence`: what a vendor's invoices lack; None where no vendor is registered."""

    provider: str
    sentence: Sentence | None


def _invoice_gaps(connection: Connection, computed: MonthStatements, now: datetime | None) -> list[_Gap]:
    """What the invoices of providers with use that costs something lack; with `now` also what is provisional."""
    used = sorted({line.key.provider for statement in computed.statements for line in statement.lines
                   if line.exact_amount})  # fmt: skip
    register = [*read_register(connection), *BUILT_IN.values()]
    gaps = []
    for provider in used:
        vendor = _vendor_of(provider, register, computed)
        if vendor is None:
            gaps.append(_Gap(provider, None))
            continue
        month = month_in(computed.month.name, vendor.zone)
        covered = covered_days(connection, vendor.vendor, "cost", month.days[0], month.days[-1] + timedelta(days=1))
        missing = sum(day not in covered for day in month.days)
        final = month.days[-1] + timedelta(days=1 + vendor.settle_days)
        if missing:
            sentence = Sentence(
                "%(vendor)s has not invoiced %(missing)s of %(days)s days",
                vendor=vendor.vendor, missing=missing, days=len(month.days),
            )  # fmt: skip
            gaps.append(_Gap(provider, sentence))
        elif now is not None and now.astimezone(load_zone(vendor.zone)).date() < final:
            told = Sentence("the invoice of %(vendor)s is provisional until %(day)s", vendor=vendor.vendor, day=final)
            gaps.append(_Gap(provider, told))
    return gaps


def _vendor_of(provider: str, register: Sequence[Vendor], computed: MonthStatements) -> Vendor | None:
    first = computed.month.days[0]
    return next((row for row in register if provider in row.providers and row.holds(first)), None)


def _reconciled(connection: Connection, month: str, now: datetime, *, is_rebuilt: bool) -> Check:
    """Differences that rules share must be those of what is in the books: others would be charged twice, or not.

    Rebuilt sums end with our month and hold no whole month of a vendor's: there this was asked by the close before.
    """
    if is_rebuilt:
        sentence = Sentence("whether shared differences are up to date is not asked of rebuilt sums")
        return Check("reconciled", "ok", sentence)
    stale = stale_reconciliations(connection, month, now)
    if not stale:
        return Check("reconciled", "ok", Sentence("no shared difference is out of date"))
    left = len(stale) - NAMED_MAX
    more = Sentence("; and %(count)s more", count=left) if left > 0 else ""
    remedy = Sentence("`jangbu reconcile --vendor %(vendor)s --month %(month)s`", vendor=stale[0].vendor, month=month)
    listed = Listed(one.sentence for one in stale[:NAMED_MAX])
    sentence = Sentence("what is shared is out of date: %(stale)s%(more)s", stale=listed, more=more)
    return Check("reconciled", "block", sentence, remedy)


def _breaks(connection: Connection, month: str) -> Check:
    """Breaks that nobody has decided about, or about another amount than they have now (`billing.breaks`). Provisional
    ones do not count, and neither does rounding; what is disputed is decided, and said."""
    counts = count_breaks(connection, month)
    disputed = sum(count.disputed for count in counts)
    beside = Sentence("; %(count)s disputed", count=disputed) if disputed else ""
    open_breaks = [count for count in counts if count.open]
    if open_breaks:
        named = Listed(
            (Sentence("%(count)s with %(vendor)s in %(currency)s", count=one.open, vendor=one.vendor,
                      currency=one.currency) for one in open_breaks), ", ",
        )  # fmt: skip
        remedy = Sentence(
            "`jangbu break list --month %(month)s --state open`, then accept, dispute or write off", month=month
        )
        sentence = Sentence("breaks are open: %(named)s%(beside)s", named=named, beside=beside)
        return Check("breaks", "block", sentence, remedy)
    if counts or connection.execute(
        text("select exists (select from reconciliation where month = :month)"), {"month": month}
    ).scalar_one():
        return Check("breaks", "warn" if disputed else "ok", Sentence("no break is open%(beside)s", beside=beside))
    remedy = Sentence("`jangbu reconcile --vendor V --month M`")
    return Check("breaks", "warn", Sentence("nothing has been reconciled for the month"), remedy)


def _percent(share: Fraction) -> str:
    """A share as a percentage with two digits after the point."""
    hundredths = round(share * 10_000)
    return f"{hundredths // 100}.{hundredths % 100:02d} %"
