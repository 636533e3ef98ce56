"""Long outages, compressed: an hour of events without anybody who takes them, and a disk that takes none."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jangbu.gateway import metering, posting
from jangbu.gateway.metering import Meter
from jangbu.gateway.settings import GatewaySettings
from tests.gateway import proxy_world as world
from tests.gateway.door_standin import TOKEN, Door

PAYLOAD: dict[str, Any] = {
    "model": "gpt-5-mini",
    "custom_llm_provider": "openai",
    "status": "success",
    "startTime": 1790989323.5,
    "call_type": "acompletion",
    "metadata": {"usage_object": {"prompt_tokens": 3, "completion_tokens": 2}},
}
MINUTES, EVENTS_A_MINUTE = 60, 200
PATIENCE_S = 120.0
FULL = """
import json, resource, sys, time
from pathlib import Path
from jangbu.gateway import metering
from jangbu.gateway.metering import Meter
from jangbu.gateway.settings import GatewaySettings

payload, directory = json.loads(sys.argv[1]), Path(sys.argv[2])
metering.RETRY_S, metering.SAY_AGAIN_S = 0.02, 0.0
said, handed = [], 4_000
settings = GatewaySettings(source="g", department_from="user_api_key_team_id", broker=None, topic="t",
                           url="http://127.0.0.1:9", token="t", directory=directory, queue_events_max=1_000)
meter = Meter(settings, say=said.append)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
meter.start()

def until(holds):
    deadline = time.monotonic() + 120
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)

for number in range(handed):
    meter.hand_over({**payload, "id": f"r{number}"})
    if number % 100 == 0:
        time.sleep(0.002)
until(lambda: meter.counts.dropped and any("LOST" in sentence for sentence in said))
full = {"dropped": meter.counts.dropped, "said": sorted({sentence[:400] for sentence in said})[:20]}
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
until(lambda: meter.counts.written + meter.counts.dropped == handed)
print(json.dumps({**full, "written": meter.counts.written, "pending": meter._outbox.pending_count(),
                  "lost": meter.counts.dropped}))
sys.stdout.flush()
import os
os._exit(0)
"""


def settings_for(directory: Path, url: str) -> GatewaySettings:
    """A gateway that posts to a door of ours."""
    return GatewaySettings(
        source="g", department_from="user_api_key_team_id", broker=None, topic="t", url=url, token=TOKEN,
        directory=directory, queue_events_max=5_000,
    )  # fmt: skip


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.005)


def test_an_hour_without_anybody_who_takes_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outbox grows, memory does not, and all of it arrives afterwards, each once."""
    monkeypatch.setattr(metering, "GATHER_S", 0.0)
    monkeypatch.setattr(posting, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(posting, "BACKOFF_MAX_S", 0.05)
    said: list[str] = []
    with Door() as door:
        door.away = True
        meter = Meter(settings_for(tmp_path, door.url), say=said.append)
        meter.start()
        sizes = []
        for minute in range(MINUTES):
            for number in range(EVENTS_A_MINUTE):
                meter.hand_over({**PAYLOAD, "id": f"r{minute}-{number}"})
            until(lambda: meter.counts.written == (minute + 1) * EVENTS_A_MINUTE)  # noqa: B023 - asked at once
            assert (len(meter._queue), len(meter._unwritten)) == (0, 0), "nothing stays in memory"
            sizes.append(meter._outbox.pending_count())
        assert sizes == [EVENTS_A_MINUTE * (minute + 1) for minute in range(MINUTES)]
        assert any("wait in the outbox" in sentence for sentence in said), "it is said, with how many"
        assert meter.counts.dropped == 0
        door.away = False
        until(lambda: meter._outbox.pending_count() == 0)
        meter.close(5)
    assert len(door.events) == MINUTES * EVENTS_A_MINUTE
    assert set(door.copies.values()) == {1}
    assert door.conflicts == []


def test_a_full_disk_is_loud_and_counted_and_fails_nobody(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk. What fitted into memory is written when there is room."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, json.dumps(PAYLOAD), str(tmp_path)], capture_output=True, text=True, check=False,
        timeout=240, cwd=world.CHECKOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert any(("full" in sentence or "cannot be written" in sentence) for sentence in told["said"]), told["said"]
    assert any("LOST" in sentence for sentence in told["said"])
    assert told["dropped"] > 0
    assert told["written"] + told["lost"] == 4_000
    assert told["pending"] == told["written"] > 0
