"""The price of a line: the stored row with its import, the contract terms on it, and the rows that lost against it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.explaining.checks import Check, compare
from billing.explaining.price_choice import contest
from billing.explaining.provenance import read_price_origins, row_id_of
from billing.money import exact_text
from billing.periods import hour_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.explaining.books import MonthBooks
    from billing.prices import Asked

LOSERS_MAX = 200
"""Rows that lost which are named; a line of many tiers and regions over a much changed book has no more to tell."""


def price_steps(
    books: MonthBooks, line: Mapping[str, Any], asked: Sequence[tuple[Asked, int]]
) -> tuple[dict[str, Any], list[Check]]:
    """What priced a line, for each way in which its use asks for a price (tier, region, prompt length, hour)."""
    origin = None
    if line["price_id"] is not None:
        row_id = row_id_of(line["price_id"])
        origin = read_price_origins(books.connection, [row_id]).get(row_id)
    losers: dict[tuple[str, str], dict[str, Any]] = {}
    winners: dict[str, int] = {}
    for question, hour in _by_stretch(books, asked):
        found = contest(books.rows, books.book, question, line["unit"], hour)
        winner = found.winner.code if found.winner is not None else "no row"
        winners[winner] = min(hour, winners.get(winner, hour))
        for loser in found.losers:
            losers.setdefault((loser.row.code, loser.why), {"price_id": loser.row.code, "why": loser.why,
                                                            "row": loser.row.row_id})  # fmt: skip
    known = read_price_origins(books.connection, [loser["row"] for loser in losers.values()])
    lost = [{**loser, "row": known.get(loser["row"])} for _, loser in sorted(losers.items())]
    document = {
        "price_id": line["price_id"],
        "row": origin,
        "terms": line.get("terms") or [],
        "unit_price": line["unit_price"],
        "lost": lost[:LOSERS_MAX],
        "lost_count": len(lost),
    }
    return document, [*_row_checks(line, origin), *_winner_checks(line, winners)]


def _by_stretch(books: MonthBooks, asked: Sequence[tuple[Asked, int]]) -> list[tuple[Asked, int]]:
    """One hour for each question and stretch in which no price changes."""
    edges = sorted(books.book.cuts(books.month.first_hour, books.month.end_hour))
    seen: dict[tuple[Asked, int], int] = {}
    for question, hour in asked:
        stretch = sum(1 for edge in edges if edge <= hour)
        seen[question, stretch] = min(hour, seen.get((question, stretch), hour))
    return [(question, hour) for (question, _), hour in seen.items()]


def _row_checks(line: Mapping[str, Any], origin: Mapping[str, Any] | None) -> list[Check]:
    """The row in the book says what the line says, before its terms."""
    if line["price_id"] is None:
        return []
    if origin is None:
        return [Check("the price row is in the book", line["price_id"], "no such row", False, "the book lost a row")]
    terms = line.get("terms") or []
    stated = terms[0]["unit_price_before"] if terms else line["unit_price"]
    unit_price = exact_text(Fraction(origin["price"]) / Fraction(origin["per"]))
    checks = [compare("the price row in the book has the line's price", stated, unit_price, "another price")]
    if not terms:
        checks.append(compare("and its currency", line["price_currency"], origin["currency"], "another currency"))
    before = Fraction(stated)
    for term in terms:
        if term["percent"] is None:
            before = Fraction(line["unit_price"])
        else:
            before = before * (100 - Fraction(term["percent"])) / 100
    if terms:
        made = exact_text(before)
        checks.append(compare("its terms make the line's price", line["unit_price"], made, "another term"))
    return checks


def _winner_checks(line: Mapping[str, Any], winners: Mapping[str, int]) -> list[Check]:
    expected = line["price_id"] or "no row"
    if line["price_status"] == "not_billable":
        return []
    return [
        compare(
            f"the price book chooses the line's row from {hour_start(hour).strftime('%Y-%m-%dT%H:%MZ')}",
            expected,
            winner,
            "the rules of choice, told row by row, give another row",
        )
        for winner, hour in sorted(winners.items())
    ]
