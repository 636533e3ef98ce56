"""The entries that a month's statements make (README.md: accounts). Pure: statements in, entries out.

Departments are debited by what their statements say, line by line, so that statement and ledger agree by the way they
are made. What they owe for use is credited to the provider's clearing account; a further entry for each provider moves
it to what the organisation owes, in whole smallest units, and puts what rounding left on the account `rounding`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.ledger.positions import Position, correction_position, is_correction
from billing.money import exact, exact_text, minor_digits, plain
from billing.rounding import round_total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.charges import BookedCharge, Department
    from billing.statements import MonthStatements, Statement

COST = "cost"
ROUNDING = "rounding"
INVOICE_DIFFERENCE = "INVOICE_DIFFERENCE"
SECTION_REASONS = {"allocated": "ALLOCATION", "adjustments": "ADJUSTMENT", "tax": "TAX"}


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One side of an entry: debit positive, credit negative. What stands behind `position` is there for charges."""

    account: str
    department: Department
    amount: Decimal
    section: str | None = None
    position: Position | None = None
    quantity: int | None = None
    exact_amount: Fraction | None = None

    def document(self, currency: str) -> dict[str, Any]:
        """The line as canonical JSON holds it; the names are the columns of ledger_line."""
        where = self.position
        is_use = where is not None and where.kind == "lines"
        key = None if where is None or is_use else [where.kind, *where.key]
        provider, model, unit, price_id = where.use if where is not None and is_use else (None, None, None, None)
        return {
            "account": self.account,
            "department": self.department,
            "amount": plain(self.amount),
            "currency": currency,
            "section": self.section,
            "charge_key": key,
            "provider": provider,
            "model": model,
            "unit": unit,
            "price_id": price_id or None,
            "quantity": None if self.quantity is None else str(self.quantity),
            "amount_exact": None if self.exact_amount is None else exact_text(self.exact_amount),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. Its id is made of its content, who booked it and when left out."""

    month: str
    reason: str
    origin_month: str
    description: str
    currency: str
    lines: tuple[EntryLine, ...]

    @property
    def line_documents(self) -> list[dict[str, Any]]:
        """The lines with their numbers from 1."""
        return [{"number": number, **line.document(self.currency)} for number, line in enumerate(self.lines, 1)]

    @property
    def content(self) -> str:
        """Canonical JSON: keys sorted, no spaces, decimals as text."""
        document = {
            "month": self.month,
            "reason": self.reason,
            "origin_month": self.origin_month,
            "description": self.description,
            "lines": self.line_documents,
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def id(self) -> str:
        return entry_id(self.content)

    def document(self) -> dict[str, Any]:
        """The entry as `period close --dry-run` shows it."""
        return {"id": self.id, **json.loads(self.content)}


def entry_id(content: str) -> str:
    """SHA-256, in hex, of an entry's canonical content."""
    return hashlib.sha256(content.encode()).hexdigest()


def make_entries(month: MonthStatements, accrued: frozenset[str] = frozenset()) -> tuple[Entry, ...]:
    """Every entry of a month. `accrued`: providers whose invoices are missing or may still change."""
    entries = [entry for statement in month.statements for entry in _of_department(statement, month)]
    entries += [*_payables(entries, month, accrued), *_differences(entries, month)]
    with exact():
        for entry in entries:
            assert not sum((line.amount for line in entry.lines), Decimal(0)), f"{entry.description} does not balance"
    return tuple(entries)


def _of_department(statement: Statement, month: MonthStatements) -> Iterable[Entry]:
    """A department's use, shares, tax, and corrections by what they correct and why."""
    name, who = month.month.name, statement.department or "(unattributed)"
    lines = [
        EntryLine(COST, statement.department, line.amount, "lines",
                  Position.of_line(line.key), line.quantity, Fraction(line.exact_amount))
        for line in statement.lines
        if line.amount is not None and line.exact_amount is not None and line.key.status != "not_billable"
    ]  # fmt: skip
    if lines:
        yield _entry(month, "USAGE", name, f"{who}: use of {name}", lines)
    groups: dict[tuple[str, str, str], list[EntryLine]] = {}
    for booked in statement.charges:
        line, reason, origin = _charge_line(booked, statement.department, name)
        groups.setdefault((line.section or "", reason, origin), []).append(line)
    for (_, reason, origin), charges in sorted(groups.items()):
        about = f"correction of {origin}" if origin != name else f"{reason.lower()} of {name}"
        if reason == INVOICE_DIFFERENCE:
            billed = sorted({line.position.billed_by or "" for line in charges if line.position is not None})
            about = f"differences of the invoices of {', '.join(billed)} for {origin}, as decided"
        yield _entry(month, reason, origin, f"{who}: {about}", charges)


def _charge_line(booked: BookedCharge, department: Department, month: str) -> tuple[EntryLine, str, str]:
    """A charge as a debit, with the reason and the month that it is about."""
    charge = booked.charge
    quantity = charge.document.get("quantity")
    if is_correction(charge):
        position, reason = correction_position(charge), str(charge.document["reason"])
        origin = str(charge.document["origin_period"])
    else:
        position, reason, origin = Position(charge.section, charge.key), SECTION_REASONS[charge.section], month
        reason = INVOICE_DIFFERENCE if position.billed_by else reason
        quantity = None
    line = EntryLine(COST, department, booked.amount, charge.section, position,
                     None if quantity is None else int(quantity), charge.exact)  # fmt: skip
    return line, reason, origin


def _entry(month: MonthStatements, reason: str, origin: str, description: str, debits: Sequence[EntryLine]) -> Entry:
    """Debits as given, credits by account."""
    credited: dict[str, Decimal] = {}
    with exact():
        for line in debits:
            assert line.position is not None
            account = line.position.credit_account
            credited[account] = credited.get(account, Decimal(0)) - line.amount
    sides = [*debits, *(EntryLine(account, None, amount) for account, amount in sorted(credited.items()))]
    return Entry(month.month.name, reason, origin, description, month.policy.currency, tuple(sides))


def _payables(entries: Sequence[Entry], month: MonthStatements, accrued: frozenset[str]) -> list[Entry]:
    """For each provider: what was cleared by departments becomes what is owed, rounded to the smallest unit."""
    cleared: dict[str, Decimal] = {}
    owed: dict[str, Fraction] = {}
    with exact():
        for line in (line for entry in entries for line in entry.lines):
            if line.position is not None and line.position.kind == "lines" and line.exact_amount is not None:
                provider = line.position.use[0]
                cleared[provider] = cleared.get(provider, Decimal(0)) + line.amount
                owed[provider] = owed.get(provider, Fraction(0)) + line.exact_amount
    made = []
    currency, name = month.policy.currency, month.month.name
    for provider in sorted(cleared):
        payable = round_total(owed[provider], -minor_digits(currency))
        lines = [
            EntryLine(f"clearing:{provider}", None, cleared[provider]),
            EntryLine(f"payable:{provider}", None, payable.copy_negate()),
        ]
        with exact():
            rest = payable - cleared[provider]
        if rest:
            lines.append(EntryLine(ROUNDING, None, rest))
        late = provider in accrued
        text = f"{provider}: owed for {name}" + (", accrued until its invoice is final" if late else "")
        made.append(Entry(name, "ACCRUAL" if late else "PAYABLE", name, text, currency, tuple(lines)))
    return made


def _differences(entries: Sequence[Entry], month: MonthStatements) -> list[Entry]:
    """For each vendor and month: what departments took of decided breaks becomes what the vendor is owed beyond use."""
    taken: dict[tuple[str, str], dict[str, Decimal]] = {}
    owed: dict[tuple[str, str], Fraction] = {}
    with exact():
        for entry in entries:
            for line in entry.lines:
                vendor = None if line.position is None else line.position.billed_by
                if line.position is None or vendor is None or line.exact_amount is None:
                    continue
                at = (vendor, entry.origin_month)
                accounts = taken.setdefault(at, {})
                account = line.position.credit_account
                accounts[account] = accounts.get(account, Decimal(0)) + line.amount
                owed[at] = owed.get(at, Fraction(0)) + line.exact_amount
    made = []
    currency = month.policy.currency
    for (vendor, origin), accounts in sorted(taken.items()):
        payable = round_total(owed[vendor, origin], -minor_digits(currency))
        lines = [EntryLine(account, None, amount) for account, amount in sorted(accounts.items()) if amount]
        lines += [EntryLine(f"payable:{vendor}", None, payable.copy_negate())] if payable else []
        with exact():
            rest = payable - sum(accounts.values(), Decimal(0))
        lines += [EntryLine(ROUNDING, None, rest)] if rest else []
        if lines:
            text = f"{vendor}: differences of its invoice for {origin}, as decided"
            made.append(Entry(month.month.name, INVOICE_DIFFERENCE, origin, text, currency, tuple(lines)))
    return made
