"""From HTTP to the books: `serve` publishes to Kafka by itself, `up` serves, and what is sent twice is counted once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jangbu.services.ports import free_port, is_listening
from tests.integration.http_world import CHECKOUT, TOKEN, OpenDoor, event
from tests.integration.ingest_world import (  # noqa: F401 - fixtures
    fixture_kafka_world,
    fixture_sockets_collected,
    fixture_world,
)
from tests.unit.test_adapters_otel import BASE, export, span

if TYPE_CHECKING:
    from tests.integration.ingest_world import World

UP_SECONDS_MAX = 90


@pytest.mark.kafka
def test_serve_sends_what_it_takes_on_to_kafka(kafka_world: World, tmp_path: Path) -> None:
    assert kafka_world.bootstrap is not None
    with OpenDoor(tmp_path, kafka_bootstrap=kafka_world.bootstrap, topic=kafka_world.topic) as door:
        assert door.post(*[event(number) for number in range(50)]).status == 202
        records = kafka_world.records(50)
        assert {record.key for record in records} == {b"gateway-1/id-%d" % number for number in range(50)}
        deadline = time.monotonic() + 30
        while door.held():
            assert time.monotonic() < deadline, "acknowledged rows leave the outbox"
            time.sleep(0.1)


def test_ingest_reads_what_clients_send(world: World) -> None:
    lines = [
        {**event(1), "type": "prompt", "data": {"tokens": "7", "model": "gpt-5-mini", "type": "input"}},
        {**event(2), "type": "prompt", "data": {"tokens": "7", "model": "gpt-5-mini", "prompt": "planted-content"}},
    ]
    content = "\n".join(json.dumps(line) for line in lines).encode()
    report = world.ingest(world.file("openmeter.ndjson", content), "--format", "openmeter")
    assert (report["accepted"], report["rejected"], report["rejections"][0]["line"]) == (1, 1, 2)
    assert "planted-content" not in Path(report["rejects"]).read_text()

    now_ns = str(time.time_ns())
    spans = export(span(BASE, startTimeUnixNano=now_ns), span({"http.route": "/"})) + b"\n"
    bad = export(span({**BASE, "gen_ai.usage.input_tokens": -1, "gen_ai.input.messages": "planted-content"}))
    report = world.ingest(world.file("traces.json", spans + bad), "--format", "otel")
    assert (report["accepted"], report["rejected"]) == (1, 1)
    assert "planted-content" not in Path(report["rejects"]).read_text()


@pytest.mark.parametrize("given", ["azure", "=azure", "default/azure="])
def test_a_reference_without_a_provider_is_refused(world: World, given: str) -> None:
    words = ("ingest", world.file("x", b"{}"), "--format", "envoy", "--source", "g", "--provider", given)
    code, _, err = world.run(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert "REFERENCE=NAME" in err


@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_up_serves_and_counts_once_what_came_twice(tmp_path: Path) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
    environment |= {"JANGBU_PORT": str(port), "JANGBU_TOKEN": TOKEN, "PYTHONPATH": str(CHECKOUT)}
    jangbu = [sys.executable, "-m", "jangbu", "--data-dir", str(tmp_path / "data")]
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen([*jangbu, "up", "--workers", "1"], env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + UP_SECONDS_MAX
        while not is_listening(port):
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        door = OpenDoor(tmp_path)
        door.port = port
        events = [event(number) for number in (1, 2, 3)]
        assert [door.post(*events).status for _ in range(2)] == [202, 202]
        subprocess.run([*jangbu, "wait", "--caught-up", "--timeout", "60"], env=environment, check=True)
        month = events[0]["time"][:7]
        usage = [*jangbu, "--timezone", "UTC", "usage", "--month", month, "--by", "unit", "--json"]
        done = subprocess.run(usage, env=environment, capture_output=True, text=True, check=True)
        counted = {row["unit"]: row["quantity"] for row in json.loads(done.stdout)["rows"]}
        assert counted == {"input_tokens": "6", "requests": "3"}

        other = [sys.executable, "-m", "jangbu", "--data-dir", str(tmp_path / "other"), "up"]
        refused = subprocess.run(other, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert refused.returncode == 3, refused.stderr
        assert str(port) in refused.stderr
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)
    assert not is_listening(port), "nothing of `up` stays behind"
