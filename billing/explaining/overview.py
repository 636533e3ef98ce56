"""A whole statement, each line with what it rests on, and whether lines, charges and total agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.cuts import read_used, slice_cuts
from billing.explaining.basis import Basis, LineGroup, find_bases
from billing.explaining.checks import Check, all_agree, compare, statement_checks
from billing.explaining.hours import read_all_hours, read_payers, read_routes, usage_sums
from billing.explaining.items import item_document
from billing.explaining.provenance import read_price_origins, row_id_of
from billing.explaining.rounding_walk import walk_rounding
from billing.statement_document import content_hash
from billing.sums import read_sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from billing.charges import Department
    from billing.explaining.books import MonthBooks
    from billing.explaining.items import Item
    from billing.rating import UsageSum


def explain_statement(books: MonthBooks, department: Department, *, by_hours: bool = True) -> dict[str, Any]:
    """The document of `jangbu explain M DEPARTMENT`. Raises NotOnStatement.

    `by_hours` false: figures are compared with rolled sums, which law 2 holds against the hours, and lines do not say
    how many hours and parts they rest on. All hours of a month take time that grows with everybody's use."""
    statement = books.statement(department)
    items = books.items(department)
    span = (books.month.first_hour, books.month.end_hour)
    bases = find_bases(items, _sums(books, department, span, by_hours=by_hours), books.book)
    rounding, rounding_checks = walk_rounding(books.documents, statement, items, None, books.policy)
    rests = _rests_on(bases.values(), by_hours=by_hours)
    origins = read_price_origins(books.connection, _row_ids(items))
    checks = [
        *statement_checks(statement, items),
        *rounding_checks,
        hash_check(statement),
        *quantity_checks(bases, is_closed=books.is_closed),
    ]
    return {
        **heading(statement),
        "items": [_item(item, rests, origins) for item in items],
        "total_exact": statement["total_exact"],
        "tax": statement["tax"],
        "total": statement["total"],
        "rounding": rounding,
        "checks": [check.document() for check in checks],
        "agrees": all_agree(checks),
    }


def _sums(
    books: MonthBooks, department: Department, span: tuple[int, int], *, by_hours: bool
) -> Iterable[UsageSum]:
    used = read_used(books.connection)
    if not by_hours:
        edges, only = slice_cuts(books.book, used, *span)
        return read_sums(books.connection, *span, edges, (), {"department": (department,)}, models_at=only)
    cuts = books.book.cuts(*span, used.models)
    hours = read_all_hours(books.connection, span, read_payers(books.connection, department), cuts)
    return usage_sums(hours, read_routes(books.connection))


def heading(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Whose statement is explained."""
    names = ("month", "timezone", "department", "department_name", "currency", "status", "content_hash")
    return {name: statement[name] for name in names}


def hash_check(statement: Mapping[str, Any]) -> Check:
    """The statement's hash against its content."""
    step = "the content gives the content hash"
    return compare(step, statement["content_hash"], content_hash(statement), "the statement was changed")


def quantity_checks(bases: Mapping[LineGroup, Basis], *, is_closed: bool) -> list[Check]:
    """What lines state against what the hourly sums come to, group by group, in the order of the statement.

    Sums that came to 0 and stand on no line are nothing. A closed month's sums may have moved since: that is for
    corrections, and is decided line by line.
    """
    checks = []
    for key, basis in sorted(bases.items(), key=lambda pair: _place(pair[1])):
        if not basis.items and not basis.summed:
            continue
        name = ", ".join(item.name for item in basis.items) or "/".join((*key[:3], key.price_id or key.status))
        check = compare(
            f"hourly sums of {name} come to its quantity",
            basis.stated,
            basis.summed,
            "the sums changed since the close: walk the line to see what came late"
            if is_closed
            else "the statement and the hourly sums below it are of different use",
        )
        if is_closed and not check.agrees:
            check = Check(check.step, check.stated, check.found, None, check.why)
        checks.append(check)
    return checks


def _place(basis: Basis) -> int:
    return min((item.number for item in basis.items), default=1 << 30)


def _rests_on(bases: Iterable[Basis], *, by_hours: bool) -> dict[int, dict[str, Any]]:
    found = {}
    for basis in bases:
        of_hours = _of_hours(basis) if by_hours else {}
        for item in basis.items:
            shared = [other.number for other in basis.items if other is not item]
            found[item.number] = {**of_hours, "quantity": str(basis.summed), "shared_with": shared}
    return found


def _of_hours(basis: Basis) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    for one in basis.hours:
        reasons[one.reason] = reasons.get(one.reason, 0) + one.quantity
    return {
        "hours": len({hour for one in basis.hours for hour in (one.hours or (one.hour,))}),
        "parts": sum(one.parts for one in basis.hours),
        "reasons": {reason: str(quantity) for reason, quantity in sorted(reasons.items())},
    }


def _row_ids(items: Iterable[Item]) -> list[int]:
    return [row_id_of(item.document["price_id"]) for item in items if item.document.get("price_id")]


def _item(
    item: Item, rests: Mapping[int, dict[str, Any]], origins: Mapping[int, dict[str, Any]]
) -> dict[str, Any]:
    document = item_document(item)
    if item.section == "lines":
        code = item.document["price_id"]
        document["rests_on"] = rests.get(item.number)
        document["price_row"] = None if code is None else origins.get(row_id_of(code))
    return document
