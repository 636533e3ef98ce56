"""The queue and its boundary: what is written, what a full disk does, what a stop and a kill leave."""

from __future__ import annotations

import functools
import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jangbu.errors import SettingsError
from jangbu.gateway import metering, posting, settings
from jangbu.gateway.counts import Counts
from jangbu.gateway.metering import Meter
from jangbu.gateway.settings import GatewaySettings
from jangbu.gateway.slots import take_slot, unowned
from producers.contract import record_key
from producers.outbox import Accepted, Outbox

PAYLOAD: dict[str, Any] = {
    "model": "gpt-5-mini",
    "custom_llm_provider": "openai",
    "status": "success",
    "startTime": 1790989323.5,
    "call_type": "acompletion",
    "metadata": {"usage_object": {"prompt_tokens": 3, "completion_tokens": 2}},
}
NOWHERE = "http://127.0.0.1:9"


def to_nowhere(directory: Path, queue_events_max: int = 1_000) -> GatewaySettings:
    """A gateway whose door is not there."""
    return GatewaySettings("g", "user_api_key_team_id", None, "t", NOWHERE, "token", directory, queue_events_max)


def held(path: Path) -> list[str]:
    """The ids in an outbox."""
    with Outbox(path) as outbox:
        return [json.loads(row.value)["id"] for row in outbox.read_pending()]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.01)


def test_what_is_handed_over_stands_in_the_outbox(tmp_path: Path) -> None:
    meter = Meter(to_nowhere(tmp_path), say=lambda _: None)
    meter.start()
    for number in range(50):
        meter.hand_over({**PAYLOAD, "id": f"r{number}"})
    wait_until(lambda: meter.counts.written == 50)
    assert held(meter.outbox_path) == [f"r{number}:1" for number in range(50)]
    meter.close(0.1)
    assert json.loads((tmp_path / "outbox-0.status.json").read_text())["written"] == 50


def test_an_orderly_stop_writes_what_waits_and_what_still_comes(tmp_path: Path) -> None:
    """Also without threads: LiteLLM flushes its own queue after our exit handler has run."""
    said: list[str] = []
    meter = Meter(to_nowhere(tmp_path), say=said.append)
    meter.hand_over({**PAYLOAD, "id": "before"})
    meter.close(0.1)
    meter.hand_over({**PAYLOAD, "id": "after"})
    assert held(meter.outbox_path) == ["before:1", "after:1"]
    assert any("wait in the outbox" in sentence for sentence in said)


def test_a_full_disk_is_said_and_what_does_not_fit_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own answer to a full file. The request is not touched, and when there is room again, what fitted into
    memory is written."""
    monkeypatch.setattr(metering, "Outbox", functools.partial(Outbox, bytes_max=120_000))
    monkeypatch.setattr(metering, "RETRY_S", 0.01)
    said: list[str] = []
    meter = Meter(to_nowhere(tmp_path, queue_events_max=500), say=said.append)
    meter.start()
    for number in range(4_000):
        meter.hand_over({**PAYLOAD, "id": f"r{number}"})
        if number % 400 == 0:
            time.sleep(0.05)
    wait_until(lambda: any("is full" in sentence for sentence in said))
    for number in range(4_000, 5_000):
        meter.hand_over({**PAYLOAD, "id": f"r{number}"})
    wait_until(lambda: any("LOST" in sentence for sentence in said))
    counts = meter.counts
    assert counts.dropped > 0
    assert any("is full" in sentence and "wait in memory" in sentence for sentence in said)
    assert counts.handed_over + counts.dropped == 5_000
    meter._outbox._sql.execute("pragma max_page_count=1000000")  # room again
    wait_until(lambda: counts.written == counts.handed_over)
    assert len(held(meter.outbox_path)) == counts.handed_over
    meter.close(0.1)


def test_an_odd_payload_ends_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    meter = Meter(to_nowhere(tmp_path), say=said.append)
    for odd in ({}, {"id": "x", "metadata": 7}, {**PAYLOAD, "id": "CANARY", "model": "CANARY\n"}):
        meter.hand_over(odd)
    meter.hand_over({**PAYLOAD, "id": "good"})
    meter.close(0.1)
    assert (meter.counts.refused, held(meter.outbox_path)) == (3, ["good:1"])
    assert "CANARY" not in "".join(said)


def test_each_process_has_an_outbox_of_its_own_and_finds_those_without_one(tmp_path: Path) -> None:
    first, second = take_slot(tmp_path), take_slot(tmp_path)
    assert [slot.path.name for slot in (first, second)] == ["outbox-0.sqlite", "outbox-1.sqlite"]
    for slot in (first, second):
        Outbox(slot.path).close()
    assert list(unowned(tmp_path)) == []
    first.lock.release()  # as the kernel does when its holder is killed
    assert [slot.path for slot in unowned(tmp_path)] == [first.path]
    assert take_slot(tmp_path).path == first.path


def test_what_a_killed_process_left_is_taken_up_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Outbox(tmp_path / "outbox-1.sqlite") as left:
        left.append([Accepted(record_key("g", "left:1"), b'{"id":"left:1"}', 1)])
    posted: list[bytes] = []

    def post(_self: posting.Poster, body: bytes) -> tuple[int, str]:
        posted.append(body)
        return 202, ""

    monkeypatch.setattr(posting.Poster, "_post", post)
    meter = Meter(to_nowhere(tmp_path), say=lambda _: None)
    assert meter.outbox_path.name == "outbox-0.sqlite"
    meter.start()
    wait_until(lambda: bool(posted))
    wait_until(lambda: held(tmp_path / "outbox-1.sqlite") == [])
    meter.close(1)
    assert posted == [b'{"id":"left:1"}']


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_for_good_is_set_aside_and_the_rest_arrives(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []

    def post(_self: posting.Poster, body: bytes) -> tuple[int, str]:
        if b"bad" in body:
            return status, "one is bad"
        taken.extend(body.splitlines())
        return 202, ""

    monkeypatch.setattr(posting.Poster, "_post", post)
    with Outbox(tmp_path / "o.sqlite") as outbox:
        outbox.append([Accepted(b"k", b"bad" if number in (3, 40) else b"%d" % number, 1) for number in range(64)])
        assert posting.Poster(outbox, NOWHERE, "t", say=lambda _: None).drain(5)
        assert sorted(taken, key=int) == [b"%d" % number for number in range(64) if number not in (3, 40)]
        assert [seq for seq, _ in outbox.refused()] == [4, 41]
        assert outbox.pending_count() == 2


@pytest.mark.parametrize("trouble", [401, 403, 429, 500, 503, OSError("away"), http.client.BadStatusLine("")])
def test_troubles_are_tried_again_and_nothing_leaves(
    trouble: int | Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int | Exception] = [trouble, trouble, 202]

    def post(_self: posting.Poster, _body: bytes) -> tuple[int, str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, "a sentence"

    monkeypatch.setattr(posting.Poster, "_post", post)
    monkeypatch.setattr(posting, "BACKOFF_FIRST_S", 0.01)
    said: list[str] = []
    stop = threading.Event()
    with Outbox(tmp_path / "o.sqlite") as outbox:
        outbox.append([Accepted(b"k", b"v", 1)])
        thread = threading.Thread(target=posting.Poster(outbox, NOWHERE, "secret-token", said.append).run, args=(stop,))
        thread.start()
        wait_until(lambda: outbox.held_count() == 0)
        stop.set()
        thread.join()
        assert outbox.held_count() == 0
    assert (len(answers), len(said)) == (0, 2)  # the trouble once, its end once
    assert "secret-token" not in "".join(said)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "JANGBU_SOURCE"),
        ({"JANGBU_SOURCE": "g"}, "JANGBU_KAFKA_BOOTSTRAP nor JANGBU_URL"),
        ({"JANGBU_SOURCE": "g", "JANGBU_URL": "http://127.0.0.1:9"}, "JANGBU_TOKEN"),
    ],
)
def test_settings_that_do_not_hold(environ: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        settings.read({**environ, "JANGBU_DATA_DIR": str(tmp_path)})


def test_kafka_goes_before_the_door(tmp_path: Path) -> None:
    found = settings.read(
        {"JANGBU_SOURCE": "g", "JANGBU_KAFKA_BOOTSTRAP": "k:9092", "JANGBU_URL": "http://127.0.0.1:9",
         "JANGBU_TOKEN": "0123456789abcdef", "JANGBU_DATA_DIR": str(tmp_path)}
    )  # fmt: skip
    assert (str(found.broker), found.url, found.token, found.directory) == (
        "k:9092",
        None,
        None,
        tmp_path / "gateway",
    )


def test_hand_over_times_by_class() -> None:
    counts = Counts()
    for us in (*[30] * 98, 170, 2_500):
        counts.took(us / 1e6)
    assert (counts.time_us(0.5), counts.time_us(0.99), counts.time_us(1)) == (30, 200, 5_000)
    assert Counts().time_us(0.5) is None
