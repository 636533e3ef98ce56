"""What the screen needs and no command tells: counts of the stream, and how many people used models in the month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from jangbu.demo.figures import Stored

if TYPE_CHECKING:
    from billing.periods import Month

_CHUNKS = """
    select coalesce(sum(records), 0), coalesce(sum(stored), 0), coalesce(sum(duplicates), 0),
           coalesce(sum(quarantined), 0)
    from stream_chunk"""
_MONTH = """
    select count(distinct y."user") filter (where y.attributed_by <> 'nobody'),
           count(distinct y.department), count(distinct r.model),
           coalesce(sum(p.events) filter (where y.attributed_by = 'nobody'), 0)
    from usage_part p join payer y on y.id = p.payer_id join route r on r.id = p.route_id
    where p.hour >= %s and p.hour < %s"""


class Reader:
    """A connection of the reader's login."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)

    def records(self) -> int:
        """How many records of the topic are in SQL."""
        row = self._connection.execute(_CHUNKS).fetchone()
        assert row is not None
        return int(row[0])

    def stored(self, month: Month) -> Stored:
        """The counts of the stream, and of the month in the organisation's zone."""
        chunks = self._connection.execute(_CHUNKS).fetchone()
        used = self._connection.execute(_MONTH, (month.first_hour, month.end_hour)).fetchone()
        assert chunks is not None
        assert used is not None
        return Stored(*(int(count) for count in (*chunks, *used)))

    def close(self) -> None:
        """Leave the database."""
        self._connection.close()
