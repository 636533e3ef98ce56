"""`jangbu quarantine` on Apache Kafka: what was wrong is sent again after the mend; a loss is accepted by a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from tests.faults.events import event
from tests.integration.streams_world import StreamsWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls
    from tests.services.apache_kafka import ApacheKafka


@pytest.fixture
def world(kafka: ApacheKafka, migrated_database: DatabaseUrls, tmp_path: Path) -> Iterator[StreamsWorld]:
    made = StreamsWorld(kafka, migrated_database, tmp_path)
    yield made
    made.close()


def environment_of(world: StreamsWorld, **more: str) -> dict[str, str]:
    """Settings that name the world's services."""
    return {
        **os.environ,
        "JANGBU_DATA_DIR": str(world.directory / "data"),
        "JANGBU_KAFKA_BOOTSTRAP": world.broker.bootstrap,
        "JANGBU_TOPIC": world.topic,
        "JANGBU_DATABASE_URL": world.urls.owner,
        "JANGBU_DATABASE_URL_WORKER": world.urls.worker,
        "JANGBU_DATABASE_URL_BILLING": world.urls.billing,
        "JANGBU_DATABASE_URL_READER": world.urls.reader,
        **more,
    }


def jangbu(world: StreamsWorld, *words: str) -> tuple[int, Any, str]:
    """A command against the world's services: exit code, what its JSON says (None where it prints none), its talk."""
    argv = [sys.executable, "-m", "jangbu", *words]
    done = subprocess.run(argv, env=environment_of(world), capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if "--json" in words else None, done.stdout + done.stderr


def usage(event_id: str, days_ago: int = 0) -> dict[str, Any]:
    return event(event_id, time=datetime.now(UTC) - timedelta(days=days_ago))


def test_what_was_too_old_is_stored_when_the_bound_was_raised_and_it_is_driven_again(world: StreamsWorld) -> None:
    """The record keeps its own timestamp, so that a replay decides alike; what is still wrong comes back."""
    worker = world.worker()
    world.send([usage("new"), usage("old", days_ago=500), b"{"])
    world.wait_for_records(3)
    worker.stop()
    code, listed, _ = jangbu(world, "quarantine", "list", "--json")
    assert code == 0
    assert [(row["code"], row["field"], row["offset"]) for row in listed["quarantine"]] == [
        ("far_past", "time", 1),
        ("malformed", "event", 2),
    ]
    before = world.ask("select record_time from quarantine where code = 'far_past'")
    patient = environment_of(world, JANGBU_MAX_EVENT_BACK_DAYS="600")
    with subprocess.Popen([sys.executable, "-m", "jangbu", "worker"], env=patient) as other:
        try:
            drive_again(world)
        finally:
            other.terminate()
    assert world.laws() == []
    assert before == world.ask("select record_time from quarantine where code = 'far_past'")


def drive_again(world: StreamsWorld) -> None:
    """First one record, then all that is open."""
    assert jangbu(world, "quarantine", "redrive", "--dry-run", "--json")[1] == {"dry_run": True, "redriven": [1, 2]}
    code, driven, _ = jangbu(world, "quarantine", "redrive", "--code", "far_past", "--json")
    assert (code, driven) == (0, {"dry_run": False, "redriven": [1]})
    world.wait_for_records(4)
    assert world.stored_ids() == ["new", "old"]
    assert jangbu(world, "quarantine", "redrive", "--json")[1]["redriven"] == [2]
    world.wait_for_records(5)
    states = world.ask("select id, state, code, decided_by is not null from quarantine order by id")
    assert [row[1:] for row in states] == [
        ("redriven", "far_past", True),
        ("redriven", "malformed", True),
        ("open", "malformed", False),
    ]


def test_a_loss_is_accepted_by_a_person_and_stays_on_record(world: StreamsWorld) -> None:
    world.send([usage(f"{number}") for number in range(8)])
    admin = KafkaAdminClient(bootstrap_servers=world.broker.bootstrap)
    admin.delete_records({TopicPartition(world.topic, 0): 5})
    admin.close()
    code, said = world.wait_for_end(world.worker())
    assert code == 1
    assert "jangbu quarantine accept-lost --partition 0 --to 5" in said
    words = ("quarantine", "accept-lost", "--partition", "0", "--to", "5", "--reason", "disk of broker 3")
    code, _, told = jangbu(world, *words)
    assert (code, "5 offsets are accepted as lost" in told) == (0, True)
    world.worker()
    world.wait_for_records(3)
    assert world.stored_ids() == ["5", "6", "7"]
    assert world.laws() == []
    assert world.ask("select first_offset, next_offset, reason from stream_lost") == [(0, 5, "disk of broker 3")]
    code, _, told = jangbu(world, *words)
    assert (code, "nothing below 5 is missing" in told) == (2, True)
