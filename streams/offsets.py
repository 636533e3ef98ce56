"""Where reading stands: the offsets in SQL, kept for one life of one topic."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from producers.topic import TopicLog


def accept_lost(
    connection: psycopg.Connection, log_id: int, partition: int, to_offset: int, reason: str, actor: str
) -> int:
    """Move a partition's offset over records that Kafka no longer holds, and keep a record of it; how many offsets.

    Raises ValueError where the stored offset is not below `to_offset`.
    """
    with connection.transaction():
        held = connection.execute(
            "select next_offset from stream_offset where log_id = %s and partition = %s for update", (log_id, partition)
        ).fetchone()
        if held is None or held[0] >= to_offset:
            stands = "is not known" if held is None else f"stands at {held[0]}"
            raise ValueError(f"partition {partition} {stands}: nothing below {to_offset} is missing")
        place = (log_id, partition, held[0], to_offset)
        connection.execute(
            "insert into stream_lost (log_id, partition, first_offset, next_offset, reason, accepted_by)"
            " values (%s, %s, %s, %s, %s, %s)",
            (*place, reason, actor),
        )
        connection.execute(
            "insert into stream_chunk (log_id, partition, first_offset, next_offset, records, stored, duplicates,"
            " quarantined, worker) values (%s, %s, %s, %s, 0, 0, 0, 0, %s)",
            (*place, actor),
        )
        connection.execute(
            "update stream_offset set next_offset = %s where log_id = %s and partition = %s",
            (to_offset, log_id, partition),
        )
        return to_offset - int(held[0])


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
