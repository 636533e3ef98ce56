"""Long lists in pages: what is shown of how many, and where the next part is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from billing.sentences import Sentence
from jangbu.errors import UsageError
from jangbu.web.views import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jangbu.web.views import Ask, Document

ROWS_A_PAGE: Final = 100
PAGE: Final = Parameter("page", f"which {ROWS_A_PAGE} rows, from 1", example="1")


def page_number(ask: Ask) -> int:
    """The page asked for, from 1. Raises UsageError."""
    asked = ask.one("page", "1") or "1"
    if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked[:9]) <= 10**8:
        raise UsageError(Sentence("%(asked)s is no page: pages are counted from 1", asked=repr(asked)))
    return int(asked)


def page_of(ask: Ask, rows: Sequence[Any]) -> Document:
    """The rows of the page asked for, with where they stand; the template's `parts.pages` shows it."""
    number = page_number(ask)
    first = (number - 1) * ROWS_A_PAGE
    return page_document(number, len(rows), rows[first : first + ROWS_A_PAGE])


def part_of(number: int) -> dict[str, int]:
    """The values of `limit :limit offset :skip` for a page."""
    return {"limit": ROWS_A_PAGE, "skip": (number - 1) * ROWS_A_PAGE}


def take_total(rows: Sequence[dict[str, Any]]) -> int:
    """How many rows there are in all, from the column `total` that each row carries and that is taken out of it."""
    total = int(rows[0]["total"]) if rows else 0
    for row in rows:
        row.pop("total")
    return total


def page_document(number: int, total: int, rows: Sequence[Any]) -> Document:
    """Rows that were read as one page of `total`."""
    first = (number - 1) * ROWS_A_PAGE
    return {
        "rows": list(rows), "page": number, "total": total, "first": min(first + 1, total),
        "last": min(first + len(rows), total), "pages": max(1, -(-total // ROWS_A_PAGE)),
    }  # fmt: skip
