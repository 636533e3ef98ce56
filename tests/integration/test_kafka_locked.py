"""A Kafka that asks who comes: TLS, passwords, certificates; by every command that goes there, and what each says."""

from __future__ import annotations

import asyncio
import signal
import uuid
from typing import TYPE_CHECKING

import aiokafka
import psycopg
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from jangbu import settings
from jangbu.gateway import settings as gateway_settings
from jangbu.gateway.metering import Meter
from jangbu.settings_kafka import set_broker
from producers.broker_access import BrokerAccess
from producers.broker_refusal import refusal
from producers.outbox import Accepted, Outbox
from producers.publisher import Publisher
from producers.topic import describe_log, make_topic, reach
from streams.worker import credentials
from tests.integration.ingest_world import World, event_line
from tests.services.apache_kafka import ApacheKafka, KafkaUnavailableError, LockedListener
from tests.services.certificates import Authority
from tests.unit.test_gateway_metering import PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

pytestmark = pytest.mark.kafka

PASSWORD = "correct-horse-battery"
EVENTS = 40
MAKER = {ACLOperation.CREATE, ACLOperation.DESCRIBE}
SENDER = {ACLOperation.DESCRIBE, ACLOperation.WRITE}
READER = {ACLOperation.DESCRIBE, ACLOperation.READ}
ALL = MAKER | SENDER | READER
RIGHTS = {"maker": MAKER, "sender": SENDER, "reader": READER, "jangbu": ALL, "CN=client": ALL}
"""On a topic, by user; who reads it also reads the group `jangbu-worker`. As docs/settings.md lists them."""


class Locked:
    """A broker with a listener by password and one by certificate, and what opens them."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory, "authority")
        self.foreign = Authority(directory, "foreign")
        self.client = self.authority.sign("client")
        self.sealed = self.authority.sign("sealed", passphrase=b"0123456789")
        host = self.authority.sign("localhost")
        (directory / "host.pem").write_bytes(host.key.read_bytes() + host.certificate.read_bytes())
        tls = {
            "ssl.keystore.type": "PEM", "ssl.keystore.location": str(directory / "host.pem"),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.authority.file),
        }  # fmt: skip
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        mechanisms = ("SCRAM-SHA-512", "SCRAM-SHA-256")
        by_password = {
            "sasl.enabled.mechanisms": ",".join((*mechanisms, "PLAIN")),
            "plain.sasl.jaas.config": f'{plain} required user_jangbu="{PASSWORD}";',
            **{f"{name.lower()}.sasl.jaas.config": f"{scram} required;" for name in mechanisms},
        }
        users = tuple(
            f"{name}=[name={user},password={PASSWORD}]" for name in mechanisms for user in (*RIGHTS, "stranger")
        )
        self.password_file = directory / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(PASSWORD + "\n", encoding="ascii")
        rights = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        self.broker = ApacheKafka(directory / "broker", overrides=rights, locked=[
            LockedListener("PASSWORD", "SASL_SSL", tls | by_password, users),
            LockedListener("CLEAR", "SASL_PLAINTEXT", by_password),
            LockedListener("CERTIFICATE", "SSL", tls | {"ssl.client.auth": "required"}),
        ])  # fmt: skip

    def grant(self) -> None:
        """To our users what docs/settings.md lists, and nothing else."""
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        topic = ResourcePattern(ResourceType.TOPIC, "t-", ACLResourcePatternType.PREFIXED)
        group = ResourcePattern(ResourceType.GROUP, "jangbu-worker")
        admin.create_acls([
            ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, what)
            for user, operations in RIGHTS.items()
            for operation, what in [*((one, topic) for one in operations), (ACLOperation.READ, group)]
            if operation in operations
        ])  # fmt: skip
        admin.close()

    def by_password(self, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        return {
            "JANGBU_KAFKA_BOOTSTRAP": self.broker.locked_bootstrap("PASSWORD"), "JANGBU_KAFKA_SECURITY": "sasl_ssl",
            "JANGBU_KAFKA_AUTHORITY_FILE": str(self.authority.file), "JANGBU_KAFKA_SASL_MECHANISM": mechanism,
            "JANGBU_KAFKA_USER": "jangbu", "JANGBU_KAFKA_PASSWORD_FILE": str(self.password_file),
        }  # fmt: skip

    def in_clear(self) -> dict[str, str]:
        there = {name: value for name, value in self.by_password().items() if not name.endswith("AUTHORITY_FILE")}
        bootstrap = self.broker.locked_bootstrap("CLEAR")
        return there | {"JANGBU_KAFKA_BOOTSTRAP": bootstrap, "JANGBU_KAFKA_SECURITY": "sasl_plaintext"}

    def by_certificate(self) -> dict[str, str]:
        return {
            "JANGBU_KAFKA_BOOTSTRAP": self.broker.locked_bootstrap("CERTIFICATE"), "JANGBU_KAFKA_SECURITY": "ssl",
            "JANGBU_KAFKA_AUTHORITY_FILE": str(self.authority.file),
            "JANGBU_KAFKA_CERTIFICATE_FILE": str(self.client.certificate),
            "JANGBU_KAFKA_KEY_FILE": str(self.client.key),
        }  # fmt: skip


@pytest.fixture(name="locked", scope="module")
def fixture_locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    locked = Locked(tmp_path_factory.mktemp("locked"))
    try:
        locked.broker.start()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
    locked.grant()
    yield locked
    locked.broker.stop()


@pytest.fixture(name="house")
def fixture_house(tmp_path: Path, migrated_database: DatabaseUrls) -> World:
    world = World(tmp_path, None, f"t-{uuid.uuid4().hex[:12]}")
    world.database_url = migrated_database.owner
    return world


@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "certificate"])
def test_events_reach_the_sums_through_a_locked_door(locked: Locked, house: World, way: str) -> None:
    """From the topic's making to the sums, by every client: what asks, what sends, what reads."""

    def become(user: str) -> None:
        one = {} if way == "certificate" else {"JANGBU_KAFKA_USER": user}
        house.variables = (locked.by_certificate() if way == "certificate" else locked.by_password(way)) | one

    become("maker")
    code, _, err = house.run("migrate", "--json")
    assert code == 0, err
    assert house.run("doctor")[0] == 0
    become("sender")
    lines = b"".join(event_line(number) for number in range(1, EVENTS + 1))
    assert house.ingest("-", "--format", "usage", stdin=lines)["accepted"] == EVENTS
    become("reader")
    worker = house.start("worker")
    try:
        code, _, err = house.run("wait", "--caught-up", "--timeout", "60")
        assert code == 0, err
    finally:
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=60)
    assert PASSWORD not in said.decode()
    assert house.database_url is not None
    with psycopg.connect(house.database_url) as connection:
        assert connection.execute("select count(*) from usage_event").fetchone() == (EVENTS,)


def test_a_gateways_metering_goes_through_the_locked_door(locked: Locked, tmp_path: Path) -> None:
    """With the settings that a proxy has in its environment."""
    topic = f"t-{uuid.uuid4().hex[:12]}"
    broker = set_broker(settings.load(environ=locked.by_password(), cwd=tmp_path))
    assert broker is not None
    make_topic(broker, topic, partitions=1, replicas=1)
    more = {"JANGBU_SOURCE": "g", "JANGBU_TOPIC": topic, "JANGBU_DATA_DIR": str(tmp_path)}
    meter = Meter(gateway_settings.read(locked.by_password() | {"JANGBU_KAFKA_USER": "sender"} | more))
    meter.start()
    for number in range(EVENTS):
        meter.hand_over({**PAYLOAD, "id": f"r{number}"})
    meter.close(20)
    assert [place.end for place in reach(broker, describe_log(broker, topic)).values()] == [EVENTS]


@pytest.mark.parametrize("way", ["SCRAM-SHA-256", "PLAIN", "clear"])
def test_other_ways_of_proving_a_password(locked: Locked, tmp_path: Path, way: str) -> None:
    """By the clients themselves: what asks, what sends, what reads, and the refusal that there is none."""
    variables = locked.in_clear() if way == "clear" else locked.by_password(way)
    broker = set_broker(settings.load(environ=variables, cwd=tmp_path))
    assert broker is not None
    topic = f"t-{uuid.uuid4().hex[:12]}"
    assert make_topic(broker, topic, partitions=1, replicas=1)
    with Outbox(tmp_path / "outbox.sqlite") as outbox:
        outbox.append([Accepted(b"k", event_line(number), 1_790_000_000_000) for number in range(EVENTS)])
        assert Publisher(outbox, broker, topic).drain(20)
    log = describe_log(broker, topic)
    assert [place.end for place in reach(broker, log).values()] == [EVENTS]
    assert asyncio.run(_read(broker, topic, EVENTS)) == EVENTS
    assert refusal(broker) is None


async def _read(broker: BrokerAccess, topic: str, count: int) -> int:
    """How many records there are to the client below Faust, with Faust's credentials."""
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=str(broker), auto_offset_reset="earliest",
        **credentials_to_aiokafka_auth(credentials(broker), None),
    )  # fmt: skip
    await consumer.start()
    try:
        found = 0
        while found < count:
            found += sum(map(len, (await consumer.getmany(timeout_ms=10_000)).values()))
        return found
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"JANGBU_KAFKA_PASSWORD_FILE": None, "JANGBU_KAFKA_PASSWORD": "wrong-horse"}, "JANGBU_KAFKA_USER"),
        ({"JANGBU_KAFKA_USER": "nobody"}, "JANGBU_KAFKA_USER"),
        ({"JANGBU_KAFKA_AUTHORITY_FILE": "foreign"}, "JANGBU_KAFKA_AUTHORITY_FILE"),
        ({"JANGBU_KAFKA_AUTHORITY_FILE": None}, "JANGBU_KAFKA_AUTHORITY_FILE"),
        ({"JANGBU_KAFKA_BOOTSTRAP": "address"}, "JANGBU_KAFKA_BOOTSTRAP"),
    ],
    ids=["password", "user", "authority", "no authority", "name"],
)
def test_who_is_not_let_in_is_told_why(
    locked: Locked, house: World, changed: dict[str, str | None], said: str
) -> None:
    """The broker's refusal, or ours of a broker that is not who it should be, in a sentence; the password in none."""
    meant = {"foreign": str(locked.foreign.file), "address": locked.broker.locked_bootstrap("PASSWORD").replace(
        "localhost", "127.0.0.1")}  # fmt: skip
    house.variables = {
        name: meant.get(value, value)
        for name, value in (locked.by_password() | changed).items()
        if value is not None
    }
    _refused(house, "doctor", said=said)


def test_a_user_without_rights_is_told_so_by_every_command(locked: Locked, house: World) -> None:
    house.variables = locked.by_password() | {"JANGBU_KAFKA_USER": "stranger"}
    for command in (("migrate",), ("worker",), ("wait", "--caught-up", "--timeout", "5"), ("doctor",)):
        _refused(house, *command, said="ACLs")


def _refused(house: World, *command: str, said: str) -> None:
    code, out, err = house.run(*command)
    assert code not in (0, 1), (command, out, err)
    assert said in out + err, (command, out, err)
    assert PASSWORD not in out + err
    assert "wrong-horse" not in out + err
