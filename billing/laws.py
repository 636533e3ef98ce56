"""Laws of the books that SQL cannot say (design.md, section 3): each counts what it checked and names violations.

Law 3: for each booked group |exact - booked| is below one unit, and the parts add up exactly. It is checked on the
statements as they are shown, not by the rounding that made them. `sql/checks/3-rounding.sql` looks at what is booked in
the ledger; here are open months, and the sums of exact values.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from billing.ledger.closes import read_closes
from billing.ledger.kept import KeptStatement, read_kept
from billing.money import exact
from billing.open_months import read_kept_open, read_mark
from billing.periods import month_of_hour
from billing.statement_document import content_hash, organisation_document, statement_document
from billing.statements import MonthStatements, Statement, compute_month
from billing.sums import first_and_last_hour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from billing.policy import MoneyPolicy

ROUNDING = "3-rounding"
Amount = Decimal | Fraction | None


class LawResult(NamedTuple):
    """What `jangbu audit` prints of a law: its id, how many figures were checked, and a sentence for each violation."""

    law: str
    checked: int
    violations: tuple[str, ...]


def check_rounding(connection: Connection, policy: MoneyPolicy) -> LawResult:
    """Law 3 for every month that is closed, as it was kept, and every other that holds usage; the connection is a
    snapshot."""
    closes = {close.month.name: close for close in read_closes(connection)}
    last = max(closes, default="")
    used = (month for month in months_with_usage(connection, policy) if month > last)
    results = [rounding_of_kept(read_kept(connection, name), close.policy) for name, close in closes.items()]
    for month in used:
        computed = compute_month(connection, month, policy)
        results += [rounding_of(computed), kept_as_computed(connection, computed)]
    return LawResult(
        ROUNDING,
        sum(result.checked for result in results),
        tuple(sentence for result in results for sentence in result.violations),
    )


def kept_as_computed(connection: Connection, computed: MonthStatements) -> LawResult:
    """What is kept of an open month's documents, where it would be shown, must be what the month comes to."""
    month, policy = computed.month, computed.policy
    mark = read_mark(connection, month, policy)
    held = None if mark is None else read_kept_open(connection, month, mark)
    if held is None:
        return LawResult(ROUNDING, 0, ())
    shown = {one["department"]: one for kind, one in held if kind == "department"}
    documents = {one.department: statement_document(one, computed) for one in computed.statements}
    violations = [
        f"{month.name}, department {code or '(unattributed)'}: the kept document of the open month is not what its "
        f"inputs come to; any change of an input, or `delete from open_month` as billing's login, has it computed anew"
        for code in sorted(shown.keys() | documents.keys(), key=lambda code: (code is None, code or ""))
        if code not in shown or code not in documents or content_hash(shown[code]) != documents[code]["content_hash"]
    ]
    whole = organisation_document(computed, documents.values())
    if content_hash(held[-1][1]) != whole["content_hash"]:
        violations.append(f"{month.name}, organisation: the kept document of the open month is not what it comes to")
    return LawResult(ROUNDING, len(documents) + 1, tuple(violations))


def months_with_usage(connection: Connection, policy: MoneyPolicy) -> list[str]:
    """The months, in the organisation's zone, from the first hour of usage to the last."""
    span = first_and_last_hour(connection)
    if span is None:
        return []
    first, last = (month_of_hour(hour, policy.zone) for hour in span)
    months = [first]
    while months[-1] < last:
        year, number = int(months[-1][:4]), int(months[-1][5:])
        months.append(f"{year + number // 12:04d}-{number % 12 + 1:02d}")
    return months


def rounding_of(month: MonthStatements) -> LawResult:
    """Law 3 for the statements of one month."""
    violations: list[str] = []
    checked = 1
    with exact():
        step = Decimal(1).scaleb(month.policy.step_exponent)
        _figure(violations, f"{month.month.name}, organisation", month.exact_total, month.total, step)
        if sum((one.total for one in month.statements), Decimal(0)) != month.total:
            violations.append(f"{month.month.name}: the departments do not add up to the organisation's {month.total}")
        if sum((one.exact_total for one in month.statements), Fraction(0)) != month.exact_total:
            violations.append(f"{month.month.name}: exact amounts do not add up to {month.exact_total}")
        for statement in month.statements:
            checked += 1 + _statement(violations, statement, month.month.name, step)
    return LawResult(ROUNDING, checked, tuple(violations))


def rounding_of_kept(kept: Iterable[KeptStatement], policy: MoneyPolicy) -> LawResult:
    """Law 3 for the kept statements of one closed month, by what their documents show."""
    violations: list[str] = []
    checked = 0
    step = Decimal(1).scaleb(policy.step_exponent)
    with exact():
        for one in kept:
            document = one.document
            whole = "organisation" if one.is_organisation else f"department {one.department or '(unattributed)'}"
            name = f"{document['month']}, {whole}"
            items = [(section, item) for section in ("lines", "allocated", "adjustments", "taxes")
                     for item in document[section] if item["amount"] is not None]  # fmt: skip
            figures = [(f"{name}, {section} {place}", Fraction(item["amount_exact"]), Decimal(item["amount"]))
                       for place, (section, item) in enumerate(items, 1)]  # fmt: skip
            total, total_exact = Decimal(document["total"]), Fraction(document["total_exact"])
            _figure(violations, name, total_exact, total, step)
            _adds_up(violations, name, (amount for _, _, amount in figures), total)
            _adds_up(violations, f"{name}, exact", (amount for _, amount, _ in figures), total_exact)
            checked += 1 + len(figures)
            # An organisation's line is a sum of booked ones: each is near its exact value, their sum need not be.
            for what, exact_amount, amount in () if one.is_organisation else figures:
                _figure(violations, what, exact_amount, amount, step)
    return LawResult(ROUNDING, checked, tuple(violations))


def _statement(violations: list[str], statement: Statement, month: str, step: Decimal) -> int:
    """Check one department and its lines; returns the number of lines checked."""
    name = f"{month}, department {statement.department or '(unattributed)'}"
    _figure(violations, name, statement.exact_total, statement.total, step)
    booked = [line for line in statement.lines if line.amount is not None and line.exact_amount is not None]
    items: list[tuple[str, Amount, Decimal | None]] = [
        (f"{line.key.model} {line.key.unit}", line.exact_amount, line.amount) for line in booked
    ]
    items += [(f"{one.charge.section} {' '.join(one.charge.key)}", one.charge.exact, one.amount)
              for one in statement.charges]  # fmt: skip
    for what, exact_amount, amount in items:
        _figure(violations, f"{name}, {what}", exact_amount, amount, step)
    _adds_up(violations, name, (amount for _, _, amount in items), statement.total)
    _adds_up(violations, f"{name}, exact", (exact_amount for _, exact_amount, _ in items), statement.exact_total)
    return len(items)


def _figure(
    violations: list[str], name: str, exact_amount: Amount, amount: Decimal | None, step: Decimal
) -> None:
    is_near = exact_amount is not None and amount is not None and abs(Fraction(exact_amount) - Fraction(amount)) < step
    if not is_near or amount is None or amount % step:
        violations.append(f"{name}: booked {amount} for exactly {exact_amount}, which is not within {step} of it")


def _adds_up(violations: list[str], name: str, parts: Iterable[Amount], whole: Decimal | Fraction) -> None:
    total = sum((Fraction(part) for part in parts if part is not None), Fraction(0))
    if total != whole:
        violations.append(f"{name}: lines add up to {total}, the statement says {whole}")
