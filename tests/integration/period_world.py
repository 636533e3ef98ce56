"""Books that are fed as in real life, event by event through the worker's hands, and closed month by month."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from billing.ledger.close import Draft, close_month, preview
from billing.statement_document import read_documents, read_month
from billing.store import snapshot
from jangbu.auditing import run_check
from jangbu.database import connect
from streams.chunk import Chunk, Record
from tests.faults.events import event, raw
from tests.faults.workbench import Workbench
from tests.scenarios.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.ledger.closes import CutOff
    from billing.policy import MoneyPolicy
    from jangbu.services.postgres import DatabaseUrls

LATER = datetime(2027, 6, 1, tzinfo=UTC)
"""A day on which every month of these tests has ended."""
OCTOBER = "2026-10-03T10:00:00+09:00"
PRICE = "openai,gpt-x,input_tokens,,,,KRW,{},{},2026-01-01T00:00:00Z,,letter"
MONEY_LAWS = ("2-sums", "3-rounding", "4-balanced", "5-statements", "7-hashes")


class PeriodWorld:
    """One organisation. Months are of Asia/Seoul, amounts in won."""

    def __init__(self, urls: DatabaseUrls, policy: MoneyPolicy | None = None) -> None:
        self.urls = urls
        self.house = House(urls, policy)
        self.bench = Workbench(urls)
        self.billing = connect(urls.billing)
        self.reader = connect(urls.reader)
        self._next: dict[int, int] = {}
        self.sent: list[tuple[int, list[dict[str, Any]]]] = []

    def use(self, *events: dict[str, Any], partition: int = 0, record_time: str | None = None) -> None:
        """Store events as one chunk of a partition, at the offsets that follow. Records are as old as their events,
        so that a replay decides alike, unless a time is given."""
        self.sent.append((partition, list(events)))
        first = self._next.get(partition, 0)
        keys = [f"{one['source']}/{one['id']}".encode() for one in events]
        records = [Record(first + place, _time_ms(record_time or one["time"]), key, raw(one))
                   for place, (key, one) in enumerate(zip(keys, events, strict=True))]  # fmt: skip
        self._next[partition] = first + len(records)
        self.bench.store(Chunk(partition, first, first + len(records), records, 1))

    def one(self, event_id: str, when: str, department: str | None, tokens: int, **data: Any) -> dict[str, Any]:
        """An event of so many input tokens of gpt-x; more units by `units`."""
        units = {"input_tokens": tokens, **data.pop("units", {})}
        data = {"model": "gpt-x", "department": department, **data}
        return event(event_id, time=datetime.fromisoformat(when).astimezone(UTC), units=units, **data)

    def close(
        self, month: str, *accept: str, until: Sequence[CutOff] | None = None, from_events: bool = False
    ) -> Draft:
        """Close a month, long after it ended."""
        return close_month(self.billing, month, self.house.policy, now=LATER, actor="os:test", accept=accept,
                           until=until, from_events=from_events)  # fmt: skip

    def preview(self, month: str, **options: Any) -> Draft:
        """What a close would book."""
        return preview(self.billing, month, self.house.policy, now=LATER, **options)

    def documents(self, month: str) -> dict[str | None, dict[str, Any]]:
        """The statements of a month by department, as `statement show` has them."""
        with snapshot(self.reader) as connection:
            found = read_documents(connection, month, self.house.policy)
        return {one["department"]: one for one in found}

    def organisation(self, month: str) -> dict[str, Any]:
        """The organisation's statement."""
        with snapshot(self.reader) as connection:
            return read_month(connection, month, self.house.policy)[0]

    def laws(self, *laws: str) -> list[str]:
        """What laws find wrong."""
        with snapshot(self.reader) as connection:
            return [sentence for law in laws or MONEY_LAWS for sentence in run_check(connection, law).violations]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows, as the owner."""
        return self.bench.ask(query)

    def end(self) -> None:
        """Let go of the connections."""
        self.bench.close()
        self.house.close()
        self.billing.dispose()
        self.reader.dispose()


@contextmanager
def period_world(urls: DatabaseUrls, policy: MoneyPolicy | None = None) -> Iterator[PeriodWorld]:
    """The books, let go of at the end."""
    world = PeriodWorld(urls, policy)
    try:
        yield world
    finally:
        world.end()


def _time_ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 1000
