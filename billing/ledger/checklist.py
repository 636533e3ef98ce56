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

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.ledger.closes import Close
    from billing.rating import PriceStatus
    from billing.statements import MonthStatements

State = Literal["ok", "warn", "block"]
ACCEPTABLE = ("quarantine", "unpriced", "unconverted", "unattributed", "reconciled", "breaks")
"""What a close goes past when it is named by --accept."""
NAMED_MAX = 3
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
        return Check("ended", "ok", f"{month.name} ended on {local} {month.zone}")
    return Check("ended", "block", f"{month.name} has not ended: it does on {local} {month.zone}", "wait until then")


def unattributed(computed: MonthStatements) -> Check:
    """The share of the month's cost that no department is known for, against the limit of the settings."""
    found = computed.of(None)
    cost = Fraction(0) if found is None else max(Fraction(0), found.exact_total)
    share = cost / computed.exact_total if computed.exact_total > 0 else Fraction(0)
    limit = Fraction(computed.policy.unattributed_limit)
    sentence = f"{_percent(share)} of the cost is attributed to nobody; the limit is {_percent(limit)}"
    if share <= limit:
        return Check("unattributed", "ok" if not cost else "warn", sentence)
    return Check("unattributed", "block", sentence, "import who they belong to with `jangbu roster import FILE`")


def unconverted(computed: MonthStatements) -> Check:
    """Use, and shared costs, that no rate converts."""
    check = _open_use(computed, "unconverted", "rate", "import rates with `jangbu fx import FILE`")
    found = computed.of(None)
    pools = [] if found is None else [one.charge.document for one in found.charges
                                      if one.charge.section == "allocated"
                                      and one.charge.document.get("pool_amount", "") is None]  # fmt: skip
    if check.state == "block" or not pools:
        return check
    named = "; ".join(f"{one['rule']} ({one['pool']}): {one['why']}" for one in pools[:NAMED_MAX])
    return Check("unconverted", "block", f"{len(pools)} shared costs have no rate: {named}",
                 "import rates with `jangbu fx import FILE`")  # fmt: skip


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
        remedy = f"close it first: `jangbu period close {earlier}`"
        return Check("order", "block", f"{earlier} holds use and is open", remedy)
    if last is not None and name > month_after(last.month.name):
        waiting = month_after(last.month.name)
        if any(one.charges for one in find_corrections(connection, waiting)):
            return Check("order", "block", f"corrections of closed months wait for {waiting}",
                         f"close it first: `jangbu period close {waiting}`")  # fmt: skip
    return Check("order", "ok", "every earlier month with use is closed")


def _settings(computed: MonthStatements, last: Close | None) -> Check:
    """Hours may be neither counted twice nor left out, and corrections are in one currency."""
    policy = computed.policy
    if last is not None and policy.currency != last.policy.currency:
        sentence = f"the currency is {policy.currency}, {last.month.name} was closed in {last.policy.currency}"
        return Check("settings", "block", sentence, f"set JANGBU_CURRENCY={last.policy.currency}")
    if last is not None and month_in(last.month.name, policy.zone).end_hour != last.month.end_hour:
        sentence = f"the zone is {policy.zone}; {last.month.name} was closed in {last.policy.zone}, other hours"
        return Check("settings", "block", sentence, f"set JANGBU_TIMEZONE={last.policy.zone}")
    return Check("settings", "ok", f"months of {policy.zone}, in {policy.currency}")


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
    beside = f"; {dismissed} dismissed" if dismissed else ""
    if not count:
        return Check("quarantine", "ok", f"nothing is in quarantine{beside}")
    kinds = ", ".join(f"{row.open} {row.code}" for row in rows[:NAMED_MAX] if row.open)
    what = "1 record is" if count == 1 else f"{count:,} records are"
    return Check("quarantine", "block", f"{what} in quarantine ({kinds}){beside}",
                 "look at `jangbu quarantine list`; mend and `jangbu quarantine redrive`, or `dismiss`")  # fmt: skip


def _unpriced(connection: Connection, computed: MonthStatements) -> Check:
    check = _open_use(computed, "unpriced", "price", "import prices with `jangbu price import FILE`")
    if check.state == "block":
        return check
    late = [one for one in find_corrections(connection, computed.month.name) if one.late_unpriced]
    if not late:
        return check
    text_ = ", ".join(f"{one.late_unpriced:,} of {one.month}" for one in late[:NAMED_MAX])
    return Check("unpriced", "block", f"use came without a price for closed months: {text_}", check.remedy or
                 "import prices with `jangbu price import FILE`")  # fmt: skip


def _open_use(computed: MonthStatements, status: PriceStatus, lacks: str, remedy: str) -> Check:
    quantities: dict[str, int] = {}
    for statement in computed.statements:
        for line in statement.lines:
            if line.key.status == status:
                name = f"{line.key.provider}/{line.key.model} {line.key.unit}"
                quantities[name] = quantities.get(name, 0) + line.quantity
    if not quantities:
        return Check(status, "ok", f"all use has a {lacks}")
    largest = sorted(quantities.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{quantity:,} {name}" for name, quantity in largest[:NAMED_MAX])
    more = f" and {len(largest) - NAMED_MAX} more" if len(largest) > NAMED_MAX else ""
    return Check(status, "block", f"{sum(quantities.values()):,} units of use have no {lacks}: {named}{more}", remedy)


def _invoices(connection: Connection, computed: MonthStatements, now: datetime) -> Check:
    gaps = _invoice_gaps(connection, computed, now)
    if not gaps:
        return Check("invoices", "ok", "the invoices of every provider in use are there and final")
    remedy = "`jangbu invoice import FILE --vendor V`; what differs later is corrected in an open month"
    unknown = [gap.provider for gap in gaps if gap.sentence is None]
    told = [gap.sentence for gap in gaps if gap.sentence is not None]
    if unknown:
        told.append(f"no vendor is registered for {', '.join(unknown)}")
        remedy = f"`jangbu vendor import FILE`, {remedy}"
    return Check("invoices", "warn", "accrued: " + "; ".join(told), remedy)


class _Gap(NamedTuple):
    """`sentence`: what a vendor's invoices lack; None where no vendor is registered."""

    provider: str
    sentence: str | None


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
            gaps.append(_Gap(provider, f"{vendor.vendor} has not invoiced {missing} of {len(month.days)} days"))
        elif now is not None and now.astimezone(load_zone(vendor.zone)).date() < final:
            gaps.append(_Gap(provider, f"the invoice of {vendor.vendor} is provisional until {final}"))
    return gaps


def _vendor_of(provider: str, register: Sequence[Vendor], computed: MonthStatements) -> Vendor | None:
    first = computed.month.days[0]
    return next((row for row in register if provider in row.providers and row.holds(first)), None)


def _reconciled(connection: Connection, month: str, now: datetime, *, is_rebuilt: bool) -> Check:
    """Differences that rules share must be those of what is in the books: others would be charged twice, or not.

    Rebuilt sums end with our month and hold no whole month of a vendor's: there this was asked by the close before.
    """
    if is_rebuilt:
        return Check("reconciled", "ok", "whether shared differences are up to date is not asked of rebuilt sums")
    stale = stale_reconciliations(connection, month, now)
    if not stale:
        return Check("reconciled", "ok", "no shared difference is out of date")
    more = f"; and {len(stale) - NAMED_MAX} more" if len(stale) > NAMED_MAX else ""
    remedy = f"`jangbu reconcile --vendor {stale[0].partition(' ')[0]} --month {month}`"
    return Check("reconciled", "block", f"what is shared is out of date: {'; '.join(stale[:NAMED_MAX])}{more}", remedy)


def _breaks(connection: Connection, month: str) -> Check:
    """Breaks that nobody has decided about, or about another amount than they have now (`billing.breaks`). Provisional
    ones do not count, and neither does rounding; what is disputed is decided, and said."""
    counts = count_breaks(connection, month)
    disputed = sum(count.disputed for count in counts)
    beside = f"; {disputed} disputed" if disputed else ""
    open_breaks = [count for count in counts if count.open]
    if open_breaks:
        named = ", ".join(f"{count.open} with {count.vendor} in {count.currency}" for count in open_breaks)
        remedy = f"`jangbu break list --month {month} --state open`, then accept, dispute or write off"
        return Check("breaks", "block", f"breaks are open: {named}{beside}", remedy)
    if counts or connection.execute(
        text("select exists (select from reconciliation where month = :month)"), {"month": month}
    ).scalar_one():
        return Check("breaks", "warn" if disputed else "ok", f"no break is open{beside}")
    remedy = "`jangbu reconcile --vendor V --month M`"
    return Check("breaks", "warn", "nothing has been reconciled for the month", remedy)


def _percent(share: Fraction) -> str:
    """A share as a percentage with two digits after the point."""
    hundredths = round(share * 10_000)
    return f"{hundredths // 100}.{hundredths % 100:02d} %"
