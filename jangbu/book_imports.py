"""Files of the price book and of rates taken over in a transaction: what the commands and the pages' forms both do.

Each reads a whole file (FileRefused names everything that is wrong), writes what is new in the caller's transaction by
billing's login, and tells what it did; the result is the document of `--json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.fx import doubtful_rates, read_fx
from billing.periods import month_in, month_of_hour
from billing.price_check import Finding, book_findings, unpriced_use
from billing.price_documents import changes_document, changes_sentence, diff_lines, row_changes
from billing.price_file import read_prices
from billing.price_impact import impact_of
from billing.rating import rate, rate_month
from billing.sentences import Sentence
from billing.store import (
    add_fx,
    add_prices,
    read_book,
    read_fx_rows,
    read_price_rows,
    read_rules,
    sha256_of,
)
from billing.store import (
    read_fx as read_fx_table,
)
from billing.sums import first_and_last_hour, read_sums
from billing.terms.store import read_term_book
from jangbu.importing import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.price_impact import Impact
    from billing.prices import PriceBook

Done = Outcome[dict[str, Any]]


def import_prices(connection: Connection, raw: bytes, name: str, actor: str, zone: str) -> Done:
    """Add agreed prices; they go before list prices. Tells what share of last month's cost the rows touch."""
    rows = read_prices(raw, name)
    before = read_book(connection)
    changes = add_prices(connection, rows, "contract", name=name, sha256=sha256_of(raw), actor=actor)
    impact = _impact(connection, zone, before) if changes.new_rows else None
    document = {
        "source": name,
        **changes_document(changes),
        "rows": list(row_changes(changes)),
        "impact": None if impact is None else impact.document(),
    }
    details = (*diff_lines(changes), *(impact.sentences() if impact else ()))
    return Outcome(document, bool(changes.new_rows), changes_sentence(changes, name), details)


def import_rates(connection: Connection, raw: bytes, name: str, actor: str) -> Done:
    """Add rates of exchange; rates that lie far from their neighbours are named as doubtful."""
    rows = read_fx(raw, name)
    doubtful = doubtful_rates(read_fx_rows(connection), rows)
    added, changed = (
        len(found) for found in add_fx(connection, rows, name=name, sha256=sha256_of(raw), actor=actor)
    )
    unchanged = len(rows) - added - changed
    sentence = Sentence(
        "%(file)s: %(added)s rates added, %(changed)s changed, %(unchanged)s as they were",
        file=name, added=added, changed=changed, unchanged=unchanged,
    )  # fmt: skip
    document = {"source": name, "added": added, "changed": changed, "unchanged": unchanged, "doubtful": doubtful}
    return Outcome(document, bool(added or changed), sentence, tuple(doubtful))


def check_book(connection: Connection) -> tuple[list[Finding], list[Finding]]:
    """(use without a price, what is odd in the book). The connection is a snapshot."""
    odd = book_findings(
        read_price_rows(connection), read_rules(connection), read_fx_table(connection), read_term_book(connection)
    )
    span = first_and_last_hour(connection)
    if span is None:
        return [], odd
    book = read_book(connection)
    cuts = sorted(book.cuts(span[0], span[1] + 1))
    return unpriced_use(rate(read_sums(connection, span[0], span[1] + 1, cuts, ()), book)), odd


def _impact(connection: Connection, zone: str, before: PriceBook) -> Impact | None:
    """What the rows just added touch of the month before the newest usage; None where nothing was ever used."""
    span = first_and_last_hour(connection)
    if span is None:
        return None
    newest = month_in(month_of_hour(span[1], zone), zone)
    month = month_in(month_of_hour(newest.first_hour - 1, zone), zone)
    cuts = sorted(before.cuts(month.first_hour, month.end_hour))
    rated = rate_month(read_sums(connection, month.first_hour, month.end_hour, cuts, ()), before)
    after = read_book(connection)
    known = {term.row.id for term in before.terms}
    new_rows = [term.row for term in after.terms if term.row.id not in known]
    return impact_of(month.name, rated, after, new_rows)
