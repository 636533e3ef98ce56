"""Price rows, and what a file does to the book, as documents and as sentences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.money import plain
from billing.periods import hour_start
from billing.prices import FOREVER, in_force
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from billing.fx import FxRow
    from billing.price_file import PriceChanges
    from billing.prices import PriceRow

DIFF_LINES_MAX = 20
HOUR_FORMAT = "%Y-%m-%dT%H:%MZ"


def time_of(hour: int | None) -> datetime | None:
    """A UTC hour as an instant; None for no end."""
    return None if hour in (None, FOREVER) else hour_start(hour)


def price_document(row: PriceRow) -> dict[str, Any]:
    """A row: `price` of `currency` for `per` units, half-open in time."""
    return {
        "price_id": row.code, "origin": row.origin, **row.key._asdict(), "prompt_above": str(row.key.prompt_above),
        "currency": row.currency, "price": plain(row.price), "per": str(row.per), "valid_from": time_of(row.from_hour),
        "valid_to": time_of(row.to_hour), "source": row.source,
    }  # fmt: skip


def price_documents(rows: Iterable[PriceRow], *, with_replaced: bool = False) -> list[dict[str, Any]]:
    """Rows with where each really ends, and whether a later one took its whole place."""
    rows = list(rows)
    ends = {term.row.id: term.end_hour for term in in_force(rows)}
    return [
        {**price_document(row), "ends": time_of(ends.get(row.id, FOREVER)), "replaced": row.id not in ends}
        for row in rows
        if with_replaced or row.id in ends
    ]


def fx_document(row: FxRow) -> dict[str, Any]:
    """A rate: quote units for ONE base."""
    return {"date": row.date, "base": row.base, "quote": row.quote, "rate": plain(row.rate), "source": row.source}


def changes_document(changes: PriceChanges) -> dict[str, Any]:
    """How many rows of each kind."""
    return {
        "added": len(changes.added),
        "changed": len(changes.changed),
        "ended": len(changes.ended),
        "unchanged": changes.unchanged,
        "prompt_thresholds": [str(tokens) for tokens in changes.thresholds],
    }


def changes_sentence(changes: PriceChanges, source: str) -> Sentence:
    """The same in words."""
    return Sentence(
        "%(file)s: %(added)s prices added, %(changed)s replaced, %(ended)s ended by a later one, "
        "%(unchanged)s as they were",
        file=source, added=len(changes.added), changed=len(changes.changed), ended=len(changes.ended),
        unchanged=changes.unchanged,
    )  # fmt: skip


def row_changes(changes: PriceChanges) -> Iterator[dict[str, Any]]:
    """Every row of the diff, for programs."""
    for change, before, row in (
        *(("added", None, row) for row in changes.added),
        *(("changed", before, row) for before, row in changes.changed),
        *(("ended", row, row) for row in changes.ended),
    ):
        document = price_document(row)
        if not row.id:
            del document["price_id"]
        yield {"change": change, "before": None if before is None else before.code, **document}


def diff_lines(changes: PriceChanges) -> Iterator[str]:
    """What a person should see before saying yes."""
    signed: list[tuple[str, PriceRow | None, PriceRow]] = [
        *(("~", before, row) for before, row in changes.changed),
        *(("+", None, row) for row in changes.added),
        *(("-", None, row) for row in changes.ended),
    ]
    for sign, before, row in signed[:DIFF_LINES_MAX]:
        what = f"{row.key.provider}/{row.key.model} {row.key.unit} from {hour_start(row.from_hour):{HOUR_FORMAT}}"
        was = "" if before is None else f"{plain(before.price)} -> "
        ends = f" ({row.code} ends where a new row begins)" if sign == "-" else ""
        yield f"  {sign} {what}: {was}{plain(row.price)} {row.currency} per {row.per}{ends}"
    if len(signed) > DIFF_LINES_MAX:
        yield f"  and {len(signed) - DIFF_LINES_MAX} more"
