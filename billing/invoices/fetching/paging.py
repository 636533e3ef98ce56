"""What a page says comes next, and whether a chain of pages goes on as it should. Pure.

A page of buckets ends with `has_more` and `next_page`. A chain is refused, by name, where it turns in a circle (a
cursor or a page again), speaks again about a day, speaks about a day that was not asked for, or has no end.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from billing.invoices.fetching.asking import day_of_bucket
from billing.invoices.fetching.errors import NOTHING, FetchRefused, shown

if TYPE_CHECKING:
    from datetime import date

    from billing.invoices.fetching.asking import Ask

PAGES_MAX = 200
"""Six times what a month needs at a bucket a page."""
CURSOR_CHARACTERS_MAX = 4096


class Chain:
    """The pages of one request, in the order in which they came."""

    def __init__(self, ask: Ask, vendor: str) -> None:
        self.ask, self.vendor = ask, vendor
        self.pages = 0
        self.answered: dict[date, int] = {}
        """Days that a page spoke about, and which page."""
        self.results = 0
        """Rows in all buckets so far."""
        self._cursors: dict[str, int] = {}
        self._contents: dict[str, int] = {}

    def next_cursor(self, body: bytes) -> str | None:
        """Take a page in; the cursor of the next, None after the last. Raises FetchRefused."""
        self.pages += 1
        page = self._object(body)
        if not self.ask.surface.has_pages:
            return None
        buckets = page.get("data")
        if not isinstance(buckets, list):
            raise self._refused(f"data is {shown(buckets)} where a list of buckets stands")
        cursor = self._cursor(page)
        self._note_content(buckets)
        for bucket in buckets:
            self._note_bucket(bucket)
        if cursor is not None:
            if cursor in self._cursors:
                raise self._refused(
                    f"next_page is {shown(cursor)}, which page {self._cursors[cursor]} named already: the pages turn "
                    "in a circle"
                )
            self._cursors[cursor] = self.pages
            if self.pages >= PAGES_MAX:
                raise self._refused(
                    f"there is yet another page, and a month has no more than {PAGES_MAX}: the pages do not end"
                )
        return cursor

    def _cursor(self, page: dict[str, object]) -> str | None:
        more, cursor = page.get("has_more"), page.get("next_page")
        if type(more) is not bool:
            raise self._refused(f"has_more is {shown(more)} where true or false stands")
        if not more:
            return None
        if not isinstance(cursor, str) or not 0 < len(cursor) <= CURSOR_CHARACTERS_MAX or not cursor.isprintable():
            raise self._refused(f"has_more is true and next_page is {shown(cursor)}: it does not say what comes next")
        return cursor

    def _note_content(self, buckets: list[object]) -> None:
        """The same buckets under another cursor are the same page again."""
        if not buckets:
            return
        content = sha256(json.dumps(buckets, sort_keys=True).encode()).hexdigest()
        if content in self._contents:
            raise self._refused(f"it holds the same buckets as page {self._contents[content]}: a page came twice")
        self._contents[content] = self.pages

    def _note_bucket(self, bucket: object) -> None:
        day = day_of_bucket(self.ask.surface, bucket)
        if day is None:
            raise self._refused(f"a bucket is {shown(bucket)}, which does not say when it begins")
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if day not in self.ask.days:
            if results:
                asked = f"{self.ask.days[0]} to {self.ask.days[-1]}"
                raise self._refused(f"it has results for {day}, and {asked} was asked for")
            return
        self.results += len(results) if isinstance(results, list) else 0
        earlier = self.answered.setdefault(day, self.pages)
        if earlier != self.pages:
            raise self._refused(f"it speaks about {day} again, after page {earlier}: it would count twice")

    def _object(self, body: bytes) -> dict[str, object]:
        page = decoded(body)
        if page is None:
            raise self._refused("the answer is not readable JSON")
        if not isinstance(page, dict):
            raise self._refused("the answer is no JSON object")
        return page

    def _refused(self, what: str) -> FetchRefused:
        return FetchRefused(
            f"{self.vendor} {self.ask.surface.name}, page {self.pages}: {what}; fetch again, and if it stays bring the "
            f"vendor's export; {NOTHING}"
        )


def decoded(body: bytes) -> object:
    """The JSON of an answer, figures with a fraction as their text; None where it is no JSON."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> object:
    raise ValueError(name)
