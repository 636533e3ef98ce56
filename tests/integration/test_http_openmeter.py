"""OpenMeter's clients against us: the real SDK, unchanged, and the shapes that its users send."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from producers.adapters import ADAPTERS, Options
from producers.adapters.openmeter import event_of
from producers.contract import EventRefused
from tests.integration.http_world import ONE, TOKEN, OpenDoor, event

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = Path(__file__).resolve().parents[2] / ".clients/bin/python"
SDK = """
import datetime, sys
from openmeter import Client
from openmeter.models import Event

endpoint, token = sys.argv[1:]
now = datetime.datetime.now(datetime.timezone.utc)

def event(number, kind, tokens, **more):
    return Event(id=f"call-{number}-{kind}", source="chat-app", specversion="1.0", type="prompt", subject="customer-1",
                 data={"tokens": tokens, "model": "gpt-5-mini", "type": kind, "prompt": "planted-content"}, **more)

with Client(endpoint=endpoint, token=token) as client:
    client.events.ingest_event(event(1, "input", "123456", time=now))
    client.events.ingest_events([event(2, "input", 7, time=now), event(2, "output", 9, time=now)])
    client.events.ingest_event(event(3, "output", 5))
print("sent")
"""


@pytest.fixture(name="door", scope="module")
def fixture_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    with OpenDoor(tmp_path_factory.mktemp("door")) as door:
        yield door


def openmeter(**data: Any) -> dict[str, Any]:
    return {**event(1), "type": "prompt", "data": data}


def units_of(**data: Any) -> dict[str, int]:
    (found,) = ADAPTERS["openmeter"].adapt(json.dumps(openmeter(**data)).encode(), Options())
    return dict(found.data.units)


@pytest.mark.skipif(not CLIENTS.exists(), reason="no .clients: run `make clients`")
def test_the_real_sdk_unchanged(door: OpenDoor) -> None:
    command = [str(CLIENTS), "-c", SDK, f"http://127.0.0.1:{door.port}", TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "sent\n"), done.stderr
    held = {one["id"]: one for one in door.held()}
    assert {name: one["data"]["units"] for name, one in held.items()} == {
        "call-1-input": {"input_tokens": 123456}, "call-2-input": {"input_tokens": 7},
        "call-2-output": {"output_tokens": 9}, "call-3-output": {"output_tokens": 5},
    }  # fmt: skip
    assert {(one["source"], one["subject"], one["data"]["provider"]) for one in held.values()} == {
        ("chat-app", "customer-1", "openai")
    }
    assert b"planted-content" not in b"".join(door.held_values())


def test_our_own_events_pass_by_the_same_door(door: OpenDoor) -> None:
    answer = door.send(json.dumps(event(9)).encode(), ONE, path="/api/v1/events")
    assert (answer.status, answer.body) == (204, b"")
    assert door.held()[-1]["data"]["units"] == {"input_tokens": 9, "requests": 1}


def test_the_same_rules_hold(door: OpenDoor) -> None:
    path = "/api/v1/events"
    assert door.post(openmeter(tokens=1, model="m", type="input"), path=path, token="no-token-of-ours-x").status == 401
    answer = door.post(openmeter(tokens=1, model="m", type="input"), openmeter(tokens=-1, model="m"), path=path)
    assert answer.status == 400
    assert [(bad["index"], bad["field"]) for bad in answer.document["events"]] == [(1, "data.type")]


@pytest.mark.parametrize(
    ("data", "units"),
    [
        ({"tokens": "123456", "model": "gpt4-turbo", "type": "output"}, {"output_tokens": 123456}),
        ({"tokens": 12, "model": "m", "type": "input"}, {"input_tokens": 12}),
        ({"tokens": 12.0, "model": "m", "type": "cache_read"}, {"cache_read_tokens": 12}),
        ({"tokens": 0, "model": "m", "type": "reasoning_tokens"}, {"reasoning_tokens": 0}),
        (
            {"model": "m", "prompt_tokens": 45, "completion_tokens": 511, "total_tokens": 556, "cost": 0.00858},
            {"input_tokens": 45, "output_tokens": 511, "requests": 1},
        ),
    ],
)
def test_shapes(data: dict[str, Any], units: dict[str, int]) -> None:
    assert units_of(**data) == units


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"tokens": 1, "type": "input"}, "data.model"),
        ({"model": "m", "type": "input"}, "data.tokens"),
        ({"tokens": 1, "model": "m"}, "data.type"),
        ({"tokens": 1, "model": "m", "type": "total"}, "data.type"),
        ({"tokens": "1.5", "model": "m", "type": "input"}, "data.tokens"),
        ({"tokens": -1, "model": "m", "type": "input"}, "data.tokens"),
        ({"tokens": "9" * 50, "model": "m", "type": "input"}, "data.tokens"),
        ({"tokens": True, "model": "m", "type": "input"}, "data.tokens"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(data: dict[str, Any], field: str) -> None:
    with pytest.raises(EventRefused) as refused:
        units_of(**data)
    assert refused.value.field == field


def test_without_a_time_it_says_that_the_moment_is_ours() -> None:
    line = openmeter(tokens=1, model="m", type="input")
    moments = [datetime(2026, 10, 3, 1, 2, second, tzinfo=UTC) for second in (3, 4)]
    told = [event_of(json.dumps(line).encode(), moment) for moment in moments]
    assert told[0] == told[1]
    assert told[0].data.time_source == "sender"
    del line["time"]
    untold = [event_of(json.dumps(line).encode(), moment) for moment in moments]
    assert [one.time for one in untold] == moments
    assert {one.data.time_source for one in untold} == {"acceptance"}


def test_a_line_of_a_file_needs_its_time() -> None:
    line = {**openmeter(tokens=1, model="m", type="input")}
    del line["time"]
    with pytest.raises(EventRefused, match="time is"):
        ADAPTERS["openmeter"].adapt(json.dumps(line).encode(), Options())


def test_a_model_of_no_known_maker_is_kept_and_shown() -> None:
    line = json.dumps(openmeter(tokens=1, model="llama-9", type="input")).encode()
    (found,) = ADAPTERS["openmeter"].adapt(line, Options())
    assert found.data.provider == "unknown"
