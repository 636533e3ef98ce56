"""Apache Kafka and PostgreSQL as containers: what is written is read, nothing is left behind."""

from __future__ import annotations

import secrets
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("base_image")]

START_SECONDS_MAX = 60
ANSWER_MS_MAX = 20_000
KAFKA_ENVIRONMENT = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_HEAP_OPTS": "-Xmx512m",
}


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def on_loopback(container: DockerContainer, port_inside: int) -> int:
    """Publish a port of the container's on a free port of the loopback interface; gives that port.

    ``with_bind_ports`` takes a number only and would open it to the network; Docker's own client takes the pair.
    """
    port = free_port()
    published: dict[str, Any] = container.ports
    published[f"{port_inside}/tcp"] = ("127.0.0.1", port)
    return port


@contextmanager
def running(container: DockerContainer, said: str) -> Iterator[str]:
    """Start a container, wait for a line of its log, give its id; at the end it is removed by that id."""
    container.waiting_for(LogMessageWaitStrategy(said).with_startup_timeout(START_SECONDS_MAX))
    try:
        container.start()
        yield str(container.get_wrapped_container().id)
    finally:
        started = container.get_wrapped_container()
        if started is not None:
            identity = str(started.id)
            container.get_docker_client().client.close()
            subprocess.run(["docker", "rm", "-f", "-v", identity], capture_output=True, timeout=60, check=True)
            assert not identities(identity)


def identities(identity: str) -> list[str]:
    """Containers of this id, running or not."""
    command = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"id={identity}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()


@pytest.fixture
def bootstrap() -> Iterator[str]:
    """Address of a broker in a container."""
    container = DockerContainer("apache/kafka:4.1.0")
    address = f"127.0.0.1:{on_loopback(container, 9092)}"
    for name, value in {**KAFKA_ENVIRONMENT, "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{address}"}.items():
        container.with_env(name, value)
    with running(container, "Kafka Server started"):
        yield address


@pytest.mark.timeout(180)
def test_a_record_goes_through_kafka(bootstrap: str) -> None:
    """A record that an idempotent producer was told is stored is read back with its key, once."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic("usage.events", num_partitions=8, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    stored = producer.send("usage.events", key=b"gateway-1/1", value=b"one").get(timeout=20)
    producer.close()
    assert stored.offset == 0
    consumer = KafkaConsumer(
        "usage.events",
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        consumer_timeout_ms=ANSWER_MS_MAX,
    )
    record = next(consumer)
    consumer.close()
    assert (record.partition, record.key, record.value) == (stored.partition, b"gateway-1/1", b"one")


@pytest.mark.timeout(120)
def test_postgres_takes_its_settings_and_answers() -> None:
    """User, password and database are the given ones; the version is the one that the migrations are written for."""
    password = secrets.token_urlsafe(16)
    container = DockerContainer("postgres:18")
    port = on_loopback(container, 5432)
    for name, value in {"USER": "owner", "PASSWORD": password, "DB": "books"}.items():
        container.with_env(f"POSTGRES_{name}", value)
    # The first start says it once while it makes the cluster, on its socket only; this line names the TCP address.
    with running(container, "listening on IPv4 address(.|\n)*ready to accept connections"):
        with psycopg.connect(f"postgresql://owner:{password}@127.0.0.1:{port}/books") as connection:
            row = connection.execute("select 1, current_setting('server_version_num')::int / 10000").fetchone()
            data = connection.execute("show data_directory").fetchone()
        assert row == (1, 18)
        assert data == ("/var/lib/postgresql/18/docker",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"postgresql://owner:wrong@127.0.0.1:{port}/books")
