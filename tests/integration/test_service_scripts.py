"""Apache Kafka for tests, and the script behind `make services`."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from jangbu.services import ports, processes
from jangbu.services.broker import answers_kafka
from tests.services import apache_kafka
from tests.services.apache_kafka import ApacheKafka, KafkaUnavailableError

SCRIPT = Path(apache_kafka.__file__).with_name("run.py")


@pytest.mark.kafka
@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_kafka_comes_back_on_its_port_with_its_records(tmp_path: Path, kill: bool) -> None:
    with ApacheKafka(tmp_path / "kafka") as broker:
        address = broker.bootstrap
        admin = KafkaAdminClient(bootstrap_servers=address)
        admin.create_topics([NewTopic("kept", 1, 1)])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=address, acks="all")
        producer.send("kept", b"x").get(30)
        producer.close()
        broker.restart(kill=kill)
        assert broker.bootstrap == address
        consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
        consumer.assign([TopicPartition("kept", 0)])
        assert next(consumer).value == b"x"
        consumer.close()
    assert broker.pid is None


@pytest.mark.kafka
def test_kafka_that_cannot_start_says_why(tmp_path: Path) -> None:
    broker = ApacheKafka(tmp_path / "kafka", overrides={"log.segment.bytes": "nonsense"})
    with pytest.raises(KafkaUnavailableError, match="nonsense"):
        broker.start()


def test_missing_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaUnavailableError, match="openjdk-17"):
        apache_kafka.fetch_libs(tmp_path / "libs")


def test_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\necho \'openjdk version "11.0.2" 2019-01-15\' >&2\n', encoding="ascii")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(KafkaUnavailableError, match=r"needs Java 17, .* is 11\.0\.2"):
        apache_kafka.fetch_libs(tmp_path / "libs")


def test_missing_maven_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apache_kafka, "check_java", lambda: "java")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaUnavailableError, match="Maven"):
        apache_kafka.fetch_libs(tmp_path / "libs")
    assert not any(entry.name.startswith("libs") for entry in tmp_path.iterdir())


@pytest.mark.kafka
@pytest.mark.postgres
def test_make_services_prints_one_line_for_the_shell_and_its_services_stay(tmp_path: Path) -> None:
    directory = tmp_path / "services"
    try:
        first = _script("up", directory)
        words = shlex.split(first)
        assert first.count("\n") == 1
        assert words[0] == "export"
        variables = dict(word.split("=", 1) for word in words[1:])
        assert set(variables) == {"JANGBU_KAFKA_BOOTSTRAP", "JANGBU_DATABASE_URL"}
        host, _, port = variables["JANGBU_KAFKA_BOOTSTRAP"].partition(":")
        assert answers_kafka(host, int(port))
        psycopg.connect(variables["JANGBU_DATABASE_URL"]).close()
        assert _script("up", directory) == first
    finally:
        assert _script("down", directory) == ""
    assert processes.wait_until(lambda: not ports.is_listening(int(port)), 15.0)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(variables["JANGBU_DATABASE_URL"])
    assert _script("down", directory) == ""


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    found = ports.free_ports(5)
    assert len(set(found)) == 5
    assert all(port < ports._ephemeral_first() for port in found)
    assert all(ports.is_free(port) for port in found)


def _script(action: str, directory: Path) -> str:
    argv = [sys.executable, str(SCRIPT), action, "--directory", str(directory)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout
