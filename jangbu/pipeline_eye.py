"""Where records wait in Kafka: what the topic holds against what is stored; since when a place stands still."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kafka.errors import KafkaError
from sqlalchemy import text

from billing.alerts.pipeline_rules import Away, Standing
from producers.topic import TopicMissing, describe_log, reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from producers.broker_access import BrokerAccess

_log = logging.getLogger(__name__)


class PipelineEye:
    """Looks at one topic. Whether records wait behind a broker that does not answer is not known: it says just that."""

    def __init__(
        self,
        engine: Engine,
        broker: BrokerAccess,
        topic: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine, self._broker, self._topic, self._clock = engine, broker, topic, clock
        self._since: dict[tuple[int, int], tuple[int, datetime]] = {}
        self._away_since: datetime | None = None

    def __call__(self) -> list[Standing | Away]:
        """The partitions in which records wait, with the instant since which each was seen to stand where it does."""
        try:
            log = describe_log(self._broker, self._topic)
            ends = {partition: place.end for partition, place in reach(self._broker, log).items()}
        except (KafkaError, TopicMissing) as error:
            if self._away_since is None:
                _log.warning("alerts: whether records wait is not known: %s", error)
                self._away_since = self._clock()
            with self._engine.connect() as connection:
                query = text("select coalesce(sum(next_offset), 0) from stream_offset")
                far = int(connection.execute(query).scalar_one())
            return [Away(far, self._away_since)]
        self._away_since = None
        with self._engine.connect() as connection:
            rows = connection.execute(
                text("""select l.id, o.partition, o.next_offset from topic_log l
                        left join stream_offset o on o.log_id = l.id
                        where (l.cluster_id, l.topic, l.topic_id) = (:cluster, :topic, :topic_id)"""),
                {"cluster": log.cluster_id, "topic": log.topic, "topic_id": log.topic_id},
            ).all()
        number = rows[0].id if rows else 0
        stored = {row.partition: int(row.next_offset) for row in rows if row.partition is not None}
        found: list[Standing | Away] = []
        for partition, end in sorted(ends.items()):
            offset, at = stored.get(partition, 0), (number, partition)
            known = self._since.get(at)
            if end <= offset:
                self._since.pop(at, None)
                continue
            if known is None or known[0] != offset:
                self._since[at] = offset, self._clock()
            found.append(Standing(number, partition, offset, end, self._since[at][1]))
        return found
