"""What stands in the books of a closed month: exact values by department and position, and what its statements knew."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.ledger.positions import Position, read_exact
from billing.money import plain
from billing.prices import STORED_IDS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.charges import Department
    from billing.statements import MonthStatements

Unit = tuple[str, str, str]
"""(provider, model, unit)."""
PriceCode = str | None


class Held(NamedTuple):
    """What a position comes to: its exact amount, and its quantity where it is use."""

    exact: Fraction
    quantity: int


@dataclass(slots=True)
class Books:
    """One state of a month's figures. `known` are quantities by price row, those without an amount included;
    `rates` the exchange rates that a unit's amounts used, as (day, rate)."""

    positions: dict[tuple[Department, Position], Held] = field(default_factory=dict)
    known: dict[tuple[Department, Unit], dict[PriceCode, int]] = field(default_factory=dict)
    rates: dict[tuple[Department, Unit], set[tuple[str, str]]] = field(default_factory=dict)
    unpriced: dict[Unit, int] = field(default_factory=dict)
    hashes: dict[Department | tuple[()], str] = field(default_factory=dict)
    """Content hashes of the statements by department; under () the organisation's."""

    def add(self, department: Department, position: Position, exact: Fraction, quantity: int) -> None:
        """Add to what a position comes to."""
        before = self.positions.get((department, position), Held(Fraction(0), 0))
        self.positions[department, position] = Held(before.exact + exact, before.quantity + quantity)

    def know(self, department: Department, unit: Unit, code: PriceCode, quantity: int) -> None:
        """Add to the quantities that were known of."""
        by_price = self.known.setdefault((department, unit), {})
        by_price[code] = by_price.get(code, 0) + quantity


def price_code(price_id: int) -> PriceCode:
    """The code by which statements name a price row; None without one. Terms of a contract keep the row's code."""
    return f"P-{price_id % STORED_IDS_MAX:06d}" if price_id else None


def read_books(connection: Connection, month: str) -> Books:
    """What was booked for a month: by its own statements and by every correction since."""
    books = Books()
    for department, position, exact, quantity, is_correction in _charges(connection, month):
        books.add(department, position, exact, quantity)
        if is_correction and position.kind == "lines":
            provider, model, name, price_id = position.use
            books.know(department, (provider, model, name), price_code(price_id), quantity)
    rows = connection.execute(
        text("select kind, department, document, content_hash from statement where month = :month"), {"month": month}
    )
    for row in rows:
        if row.kind == "organisation":
            books.hashes[()] = row.content_hash
        else:
            books.hashes[row.department] = row.content_hash
            _know_lines(books, row.department, json.loads(row.document)["lines"])
    return books


def _know_lines(books: Books, department: Department, lines: list[dict[str, Any]]) -> None:
    """What the lines of a kept statement knew of, those without an amount included."""
    for line in lines:
        unit = (line["provider"], line["model"], line["unit"])
        books.know(department, unit, line["price_id"], int(line["quantity"]))
        used = {(one["date"], one["rate"]) for one in line["fx_rows"]}
        books.rates.setdefault((department, unit), set()).update(used)
        if line["price_status"] == "unpriced":
            books.unpriced[unit] = books.unpriced.get(unit, 0) + int(line["quantity"])


def books_of(month: MonthStatements) -> Books:
    """The same of a month as it is computed now."""
    books = Books()
    for statement in month.statements:
        for line in statement.lines:
            key = line.key
            unit = (key.provider, key.model, key.unit)
            books.know(statement.department, unit, price_code(key.price_id), line.quantity)
            used = {(row.date.isoformat(), plain(row.rate)) for row, _ in line.rates}
            books.rates.setdefault((statement.department, unit), set()).update(used)
            if key.status == "unpriced":
                books.unpriced[unit] = books.unpriced.get(unit, 0) + line.quantity
            if line.exact_amount is not None and key.status != "not_billable":
                exact = Fraction(line.exact_amount)
                books.add(statement.department, Position.of_line(key), exact, line.quantity)
        for booked in statement.charges:
            position = Position(booked.charge.section, booked.charge.key)
            books.add(statement.department, position, booked.charge.exact, 0)
    return books


def _charges(connection: Connection, month: str) -> Iterator[tuple[Department, Position, Fraction, int, bool]]:
    rows = connection.execute(
        text("""select l.department, l.section, l.charge_key, l.provider, l.model, l.unit, l.price_id, l.quantity,
                       l.amount_exact, e.month <> e.origin_month as is_correction
                from ledger_entry e join ledger_line l on l.entry_id = e.id
                where e.origin_month = :month and l.account = 'cost'"""),
        {"month": month},
    )
    for row in rows:
        if row.charge_key is None:
            position = Position.of_use(row.provider, row.model, row.unit, row.price_id or 0)
        else:
            position = Position(row.charge_key[0], tuple(row.charge_key[1:]))
        quantity = 0 if row.quantity is None else int(row.quantity)
        yield row.department, position, read_exact(row.amount_exact), quantity, row.is_correction
