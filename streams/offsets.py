"""Where reading stands: the offsets in SQL, kept for one life of one topic."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from producers.topic import TopicLog


def register_log(connection: psycopg.Connection, log: TopicLog) -> int:
    """The number of this life of the topic, with an offset row for each partition; made where it is new.

    A topic that was deleted and made again, or a broker that lost its memory, has another id and counts from 0.
    """
    identity = (log.cluster_id, log.topic, log.topic_id)
    with connection.transaction():
        connection.execute(
            "insert into topic_log (cluster_id, topic, topic_id) values (%s, %s, %s) on conflict do nothing", identity
        )
    with connection.transaction():
        row = connection.execute(
            "select id from topic_log where (cluster_id, topic, topic_id) = (%s, %s, %s)", identity
        ).fetchone()
        assert row is not None
        log_id = int(row[0])
        connection.execute(
            "insert into stream_offset (log_id, partition) select %s, unnest(%s::integer[]) on conflict do nothing",
            (log_id, list(range(log.partitions))),
        )
    return log_id


class SqlOffsets:
    """Tells Faust's consumer where to read on. Opens a connection each time: it is asked once a rebalance."""

    def __init__(self, connect: Callable[[], psycopg.Connection], log_id: int) -> None:
        self._connect = connect
        self._log_id = log_id

    def read_from(self, partitions: set[int]) -> dict[int, int]:
        """The next offset of each partition; one that SQL does not know yet (a topic that grew) begins at 0."""
        with self._connect() as connection:
            connection.execute(
                "insert into stream_offset (log_id, partition) select %s, unnest(%s::integer[]) on conflict do nothing",
                (self._log_id, sorted(partitions)),
            )
            rows = connection.execute(
                "select partition, next_offset from stream_offset where log_id = %s", (self._log_id,)
            ).fetchall()
        return {partition: next_offset for partition, next_offset in rows if partition in partitions}
