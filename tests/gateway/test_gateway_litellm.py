"""The real LiteLLM proxy with our callback, real clients before it and a vendor of ours behind it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from producers.adapters import ADAPTERS, Options
from tests.gateway import proxy_world as world
from tests.gateway.bill_check import billed, counted, differences
from tests.gateway.door_standin import TOKEN, Door

pytestmark = pytest.mark.timeout(900)
"""A start of the proxy is 8 s of a core; a test may wait for three, on a machine that does other things."""

SOURCE = "gateway-1"
LEFT = "left"
LOG_CALLBACK = "payload_log.log"
PAYLOAD_LOG = '''
import json
from litellm.integrations.custom_logger import CustomLogger

class Log(CustomLogger):
    """LiteLLM's own log, as its file and bucket loggers write it: a payload a line."""
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs)
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs)
    def write(self, kwargs):
        with open("payloads.jsonl", "a") as file:
            file.write(json.dumps(kwargs["standard_logging_object"], default=str) + "\\n")

log = Log()
'''


class Seen(NamedTuple):
    """What a run left: the vendor's bill, our events, LiteLLM's own log, all that was said and sent."""

    bill: list[dict[str, Any]]
    events: list[dict[str, Any]]
    door: Door
    payloads: list[bytes]
    said: str
    status: dict[str, Any]
    calls: dict[str, dict[str, Any]]


def to_door(door: Door) -> dict[str, str]:
    """The settings of a proxy that posts to this door."""
    return {"JANGBU_SOURCE": SOURCE, "JANGBU_URL": door.url, "JANGBU_TOKEN": TOKEN}


def wait_until(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    """Until it holds; what is then wrong is for the assertion that follows."""
    deadline_s = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.1)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Every kind of call once."""
    world.need_clients()
    directory = tmp_path_factory.mktemp("litellm")
    (directory / "payload_log.py").write_text(PAYLOAD_LOG)
    with Door() as door, world.VendorProcess(directory) as vendor:
        config = world.configuration(vendor.url, [LOG_CALLBACK, world.CALLBACK])
        with world.ProxyProcess(directory, config, to_door(door)) as proxy:
            proxy.start()
            calls = {line["call"]: line for line in world.run_client("client_calls.py", proxy.url, "everything")}
            wait_until(
                lambda: sum(event["data"]["units"]["requests"] for event in door.events.values()) >= expected(vendor)
            )
            time.sleep(1.5)  # what must not come has had its time: the status tells what was written
            status = proxy.status()
            payloads = (directory / "payloads.jsonl").read_bytes().splitlines()
            yield Seen(vendor.bill(), list(door.events.values()), door, payloads, proxy.text(), status, calls)


def expected(vendor: world.VendorProcess) -> int:
    """Requests of which there must be events: every line of the bill, and the two further answers of the batch."""
    return len(vendor.bill()) + 2


def test_the_vendors_bill_is_our_count_call_by_call(seen: Seen) -> None:
    """Success, failure, retry, fallback, stream, cut stream, embeddings, images, sound: each call, each token."""
    skip = frozenset({LEFT, "batch", "untagged"})
    assert counted(seen.events, skip=skip) == billed(seen.bill, skip=skip)
    assert len(billed(seen.bill, skip=skip)) > 25
    assert seen.door.conflicts == []


def test_a_planted_token_is_seen(seen: Seen) -> None:
    events: list[dict[str, Any]] = json.loads(json.dumps(seen.events))
    next(event for event in events if event["data"]["units"].get("output_tokens"))["data"]["units"][
        "output_tokens"
    ] += 1
    assert len(differences(seen.bill, events)) == len(differences(seen.bill, seen.events)) + 1
    assert len(differences(seen.bill, seen.events[1:])) == len(differences(seen.bill, seen.events)) + 1


def test_a_batch_is_counted_once_with_its_answers(seen: Seen) -> None:
    batches = [event for event in seen.events if event["data"].get("service_tier") == "batch"]
    assert [event["data"]["units"] for event in batches] == [{"input_tokens": 15, "output_tokens": 6, "requests": 3}]
    assert batches[0]["data"]["model"] == "gpt-5-mini-2025-08-07"
    (line,) = (line for line in seen.bill if line["tag"] == "batch")
    assert {name: batches[0]["data"]["units"][name] for name in line["units"]} == line["units"]


def test_a_client_that_leaves_is_a_cut_stream(seen: Seen) -> None:
    """With an estimate, or without where little had come by then; never with counts of the vendor's.

    Where the machine is so slow that LiteLLM tells of it late, the event that is owed has been made by then: a failed
    call without counts may stand beside the cut one.
    """
    events = [event["data"] for event in seen.events if (event["data"].get("tags") or {}).get("call") == LEFT]
    (cut,) = (data for data in events if data.get("status") == "cut")
    assert cut["usage_source"] in ("estimated", "missing")
    assert all(data["usage_source"] == "missing" for data in events if data is not cut)


def test_cut_streams_have_no_counts_of_the_vendors(seen: Seen) -> None:
    cuts = [event["data"] for event in seen.events if event["data"].get("status") == "cut"]
    assert len(cuts) == sum(line["outcome"] == "cut" for line in seen.bill) + 1  # and the client that left
    assert {data["usage_source"] for data in cuts} <= {"missing", "estimated"}


def test_what_no_vendor_was_asked_is_no_event(seen: Seen) -> None:
    tags = {(event["data"].get("tags") or {}).get("call") for event in seen.events}
    assert not tags & {"unknown-model", "wrong-key"}
    assert "error" in seen.calls["wrong-key"]
    assert seen.status["refused"] == seen.status["dropped"] == 0


def test_nothing_private_leaves_the_process(seen: Seen) -> None:
    sent = b"".join(seen.door.bodies)
    assert b"CANARY" in b"".join(seen.payloads), "the planted text must reach LiteLLM's payloads to prove anything"
    for private in (b"CANARY", b"word word", b"127.0.0.1", b"example.org", world.MASTER_KEY.encode(), b"OpenAI/Python"):
        assert private not in sent
    ours = "\n".join(line for line in seen.said.splitlines() if "jangbu" in line)
    assert "CANARY" not in ours
    assert TOKEN not in seen.said


def test_a_backfill_of_litellms_log_is_counted_once(seen: Seen) -> None:
    """The same payloads by `ingest --format litellm` are the same events, but for the calls that LiteLLM never logs."""
    ours = {event["id"]: event for event in seen.events}
    backfilled = 0
    for line in seen.payloads:
        try:
            (event,) = ADAPTERS["litellm"].adapt(line, Options(SOURCE))
        except ValueError:
            continue  # files and batches handed in, refused by the gate: no model or no vendor
        if event.id not in ours:
            assert event.data.status == "failure", event
            assert event.data.model in ("no-such-model", "gpt-5-mini", "gpt-5-nano"), event
            continue
        if (ours[event.id]["data"].get("tags") or {}).get("call") == LEFT:
            continue  # where LiteLLM tells of it late, the event that was owed stands, and it has no counts
        if event.data.operation == "speech" and event.data.status == "failure":
            continue  # LiteLLM logs each attempt of speech under one id: a backfill puts the others into quarantine
        backfilled += 1
        known = ours[event.id]
        assert json.loads(json.dumps(known["data"]["units"])) == event.data.units
        assert known["time"] == event.time.isoformat().replace("+00:00", "Z")
    assert backfilled > 30


def test_the_hand_over_is_not_felt(seen: Seen) -> None:
    """Measured in the proxy, of calls one after the other; the load test measures it under load."""
    assert seen.status["hand_over_p50_us"] is not None
    assert seen.status["hand_over_p50_us"] <= 200


class Lives(NamedTuple):
    """What three lives of one proxy showed: killed while the door was away, ended while the door refused an event."""

    before_any_door: dict[str, Any]
    killed: dict[str, dict[str, Any]]
    accepted_beside_the_refused: set[str]
    kept_aside: bool
    ids: list[str]
    after_all: dict[str, dict[str, Any]]
    bill: list[dict[str, Any]]
    said: str


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    """Calls, kill -9, and the second life delivers what the outbox kept; calls again of which the door refuses one,
    an orderly end, and the third life delivers it."""
    world.need_clients()
    directory = tmp_path_factory.mktemp("lives")
    with Door() as door, world.VendorProcess(directory) as vendor:
        door.away = True
        config = world.configuration(vendor.url, [world.CALLBACK], cache=True)
        with world.ProxyProcess(directory, config, to_door(door)) as proxy:
            proxy.start()
            world.run_client("client_calls.py", proxy.url, "mocks")
            wait_until(lambda: proxy.status().get("written", 0) >= 4)
            before_any_door = dict(door.events)
            proxy.signal(signal.SIGKILL)  # what was acknowledged to the outbox outlives a kill -9
            door.away = False
            proxy.start()
            wait_until(lambda: len(door.events) >= 4)
            killed = dict(door.events)
            door.away = True
            world.run_client("client_calls.py", proxy.url, "mocks")
            wait_until(lambda: len(waiting(proxy)) >= 4)
            ids = waiting(proxy)
            door.refuse = {ids[1]}
            door.away = False
            wait_until(lambda: len(set(door.events) - set(killed)) >= len(ids) - 1 and "kept aside" in proxy.text())
            beside, kept_aside = set(door.events) - set(killed), "kept aside" in proxy.text()
            door.refuse = set()
            proxy.signal(signal.SIGTERM)
            proxy.start()
            wait_until(lambda: ids[1] in door.events)
        return Lives(before_any_door, killed, beside, kept_aside, ids, dict(door.events), vendor.bill(), proxy.text())


def waiting(proxy: world.ProxyProcess) -> list[str]:
    """Ids of the events in the outbox, in their order."""
    with closing(sqlite3.connect(f"file:{proxy.data_dir}/gateway/outbox-0.sqlite?mode=ro", uri=True)) as outbox:
        return [json.loads(value)["id"] for (value,) in outbox.execute("select value from event order by seq")]


def test_mocks_caches_and_a_kill(lives: Lives) -> None:
    """LiteLLM's own answers count; what it answers from its cache counts as a request alone; a kill loses nothing."""
    assert lives.before_any_door == {}
    events = list(lives.killed.values())
    assert sorted(event["data"].get("status", "success") for event in events) == ["cached", *["success"] * 3]
    (cached,) = (event for event in events if event["data"].get("status") == "cached")
    assert cached["data"]["units"] == {"requests": 1}
    assert "were left" not in lives.said  # the process that starts in its place takes its outbox


def test_the_vendor_is_asked_once_a_life_for_what_is_cached(lives: Lives) -> None:
    """The cache is in memory: the second life asks the vendor again, and each life once."""
    assert len([line for line in lives.bill if line["tag"] == "same"]) == 2


def test_a_row_that_the_door_refuses_is_set_aside(lives: Lives) -> None:
    """400 for one event of several: the others arrive, the one stays, is said, and comes with the next start."""
    assert lives.kept_aside
    assert len(lives.ids) >= 4
    assert lives.accepted_beside_the_refused == set(lives.ids) - {lives.ids[1]}
    assert set(lives.after_all) == set(lives.killed) | set(lives.ids)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"JANGBU_URL": "http://127.0.0.1:9", "JANGBU_TOKEN": TOKEN}, "JANGBU_SOURCE is not set"),
        ({"JANGBU_SOURCE": SOURCE}, "neither JANGBU_KAFKA_BOOTSTRAP nor JANGBU_URL"),
        ({"JANGBU_SOURCE": SOURCE, "JANGBU_URL": "http://127.0.0.1:9"}, "JANGBU_TOKEN is not"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: dict[str, str], said: str, tmp_path: Path) -> None:
    """The import of the callback fails, or, where it was told to, goes on and says so.

    LiteLLM's import takes seconds and has no part in it: what we take from it is stood in for. That the proxy
    itself ends with the sentence is the next test's.
    """
    world.need_clients()
    command = [str(world.CLIENTS / "python"), "-c", "import jangbu.gateway.litellm"]
    for on_bad, code in (("fail", 1), ("continue", 0)):
        environment = beside_a_standin(tmp_path, {**settings, "JANGBU_GATEWAY_ON_BAD_SETTINGS": on_bad})
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert ("WITHOUT metering" in done.stderr) == (on_bad == "continue")


def beside_a_standin(directory: Path, settings: dict[str, str]) -> dict[str, str]:
    """The proxy's environment, where LiteLLM is nothing but the classes that our callback derives from and raises."""
    classes = {
        "integrations/custom_logger.py": "CustomLogger", "exceptions.py": "RateLimitError",
        "proxy/_types.py": "ProxyException",
    }  # fmt: skip
    package = directory / "standin" / "litellm"
    for name, holds in classes.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(f"class {holds}(Exception):\n    pass\n")
    (package / "__init__.py").touch()
    found = world.environment(directory, settings)
    return {**found, "PYTHONPATH": f"{directory / 'standin'}:{found['PYTHONPATH']}"}


def test_a_proxy_with_wrong_settings_does_not_start(tmp_path: Path) -> None:
    """The real proxy ends before it answers anybody, with the sentence and not with 0."""
    world.need_clients()
    config = world.configuration("http://127.0.0.1:9", [world.CALLBACK])
    proxy = world.ProxyProcess(tmp_path, config, {"JANGBU_SOURCE": SOURCE})
    with proxy, pytest.raises(AssertionError, match=r"proxy ended with [1-9]"):
        proxy.start()
    assert "neither JANGBU_KAFKA_BOOTSTRAP nor JANGBU_URL" in proxy.text()


def test_the_base_dependencies_are_enough(tmp_path: Path) -> None:
    """In the proxy's environment our callback imports neither Faust nor a database nor Typst."""
    world.need_clients()
    code = (
        "import sys, jangbu; light = set(sys.modules); import jangbu.gateway.litellm as gateway;"
        "heavy = {'faust', 'mode', 'psycopg', 'sqlalchemy', 'alembic', 'typst', 'pyarrow', 'genai_prices'};"
        "ours = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted(heavy & ours), sorted(heavy & {n.partition('.')[0] for n in light}), 'kafka' in light)"
    )
    settings = {"JANGBU_SOURCE": SOURCE, "JANGBU_URL": "http://127.0.0.1:9", "JANGBU_TOKEN": TOKEN}
    done = subprocess.run(
        [str(world.CLIENTS / "python"), "-c", code],
        env=beside_a_standin(tmp_path, settings), capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[] [] False", done.stdout
