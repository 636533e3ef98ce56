"""`make gateway-load`: the real LiteLLM proxy under load, with and without our callback, and the truth afterwards.

Two parts. **Felt**: the same calls through a proxy without and one with the callback, in turns in one run: latency and
throughput as ratios. **True**: calls through a proxy that publishes to Apache Kafka while Kafka is killed twice, the
proxy once and a worker every 30 s; then the vendor's bill is held against the ledger in PostgreSQL, call by call. What
differs must be calls that the killed proxy had not handed over: each is listed, and `jangbu reconcile` of the bill,
which names a project a call, must show just these as BYPASS.

Exit codes: 0 all is as it must be; 7 the ledger is not the bill.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.ground import WORKERS, Ground
from tests.gateway import proxy_world as world
from tests.gateway.bill_check import Tally, billed, counted
from tests.gateway.bill_reconciled import reconciled
from tests.gateway.door_standin import TOKEN, Door

WORKER_KILLED_EVERY_S = 30.0
KAFKA_AWAY_S = 10.0
DRAIN_PATIENCE_S = 240.0
OWED_WAIT_S = 8.0
"""After the last call: the grace of calls that LiteLLM does not log (jangbu.gateway.attempts), and a commit."""
_UNITS = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_tokens", "output_tokens",
          "reasoning_tokens", "requests")  # fmt: skip


@dataclass
class Felt:
    """Latencies in ms and calls per second of one proxy, over its rounds; what the callback measured of itself."""

    ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)

    def quantile(self, share: float) -> float:
        """A latency."""
        return statistics.quantiles(self.ms, n=1000, method="inclusive")[round(share * 1000) - 1]


@dataclass
class Truth:
    """What the ledger lacks of the bill, a line each, and what it should not.

    unreached: calls that the proxy made and that failed on their way, so that the vendor never saw them: `failure`
    with `requests` alone, beside a bill that agrees to the token. A reconciliation calls them NOT_BILLED.
    """

    calls: int = 0
    billed: int = 0
    stored: int = 0
    kafka_killed: int = 0
    workers_killed: int = 0
    killed_at: float = 0.0
    lost: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lost_tags: set[str] = field(default_factory=set)
    """Those of the lost that the vendor bills tokens for."""
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    """class of break -> tag -> how many breaks the reconciliation found on its project."""
    proof: dict[str, str] = field(default_factory=dict)


def felt(directory: Path, calls: int, at_once: int, rounds: int) -> dict[str, Felt]:
    """Both proxies run all the time; they are asked in turns, the first round of each is not counted."""
    found = {"without": Felt(), "with": Felt()}
    with Door() as door, world.VendorProcess(directory) as vendor:
        settings = {"JANGBU_SOURCE": "gateway-1", "JANGBU_URL": door.url, "JANGBU_TOKEN": TOKEN}
        bare = world.ProxyProcess(directory, world.configuration(vendor.url, []), {}, "bare")
        ours = world.ProxyProcess(directory, world.configuration(vendor.url, [world.CALLBACK]), settings, "ours")
        with bare, ours:
            bare.start()
            ours.start()
            for turn in range(rounds + 1):
                order = (("without", bare), ("with", ours)) if turn % 2 else (("with", ours), ("without", bare))
                for name, proxy in order:
                    begun_s = time.monotonic()
                    told = _call(proxy.url, turn * calls, calls if turn else calls // 4, at_once, "plain")
                    if turn:
                        found[name].ms += [line["ms"] for line in told if line["outcome"] == 200]
                        found[name].per_second.append(len(told) / (time.monotonic() - begun_s))
            time.sleep(2)
            found["with"].status = ours.status()
    return found


def true(directory: Path, calls: int, at_once: int, *, faults: bool = True) -> Truth:
    """The bill against the ledger after faults by the clock and by the count of calls."""
    found = Truth(calls)
    with Ground(directory / "ground", seed=1) as ground, world.VendorProcess(directory, "projects") as vendor:
        settings = {"JANGBU_SOURCE": "gateway-1", "JANGBU_KAFKA_BOOTSTRAP": ground.bootstrap}
        with world.ProxyProcess(directory, world.configuration(vendor.url, [world.CALLBACK]), settings) as proxy:
            proxy.start()
            told = directory / "client.jsonl"
            client = _client(proxy.url, 0, calls, at_once, "mixed", told)
            ended = threading.Event()
            killer = threading.Thread(target=_kill_workers, args=(ground, ended, found), daemon=True)
            if faults:
                killer.start()
                _strike(ground, vendor, proxy, client, found)
            client.wait()
            answered = {line["tag"]: line["outcome"] for line in map(json.loads, told.read_text().splitlines())}
            ended.set()
            time.sleep(OWED_WAIT_S)
            _wait_for_outbox(proxy)
            ground.read_on("every event of the proxy stored", DRAIN_PATIENCE_S)
            bill = vendor.bill()
            events = _stored(ground)
            _hold_against(bill, events, answered, found)
            counts = f"{len(found.lost)} lost, {len(found.wrong)} wrong"
            print(f"before the reconciliation: {counts}", file=sys.stderr, flush=True)
            found.classes, found.proof = reconciled(bill, ground.postgres.urls, directory)
    _check_bypass(bill, found)
    return found


def _call(url: str, first: int, calls: int, at_once: int, kinds: str) -> list[dict[str, Any]]:
    client = _client(url, first, calls, at_once, kinds)
    said, _ = client.communicate()
    return [json.loads(line) for line in said.splitlines()]


def _client(
    url: str, first: int, calls: int, at_once: int, kinds: str, told: Path | None = None
) -> subprocess.Popen[str]:
    """What it tells goes into a file where one is named: nobody reads a pipe while it runs."""
    script = str(world.CHECKOUT / "tests" / "gateway" / "load_client.py")
    arguments = [url, world.MASTER_KEY, str(first), str(calls), str(at_once), kinds]
    command = [str(world.CLIENTS / "python"), script, *arguments]
    if told is None:
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with told.open("wb") as file:
        return subprocess.Popen(command, stdout=file, text=True)


def _strike(
    ground: Ground, vendor: world.VendorProcess, proxy: world.ProxyProcess, client: subprocess.Popen[str], found: Truth
) -> None:
    """Kafka at a fifth and at four fifths of the calls, the proxy in the middle."""
    for share, strike in ((0.2, "kafka"), (0.5, "proxy"), (0.8, "kafka")):
        while len(vendor.bill_path.read_bytes().splitlines()) < share * found.calls and client.poll() is None:
            time.sleep(0.2)
        if strike == "proxy":
            found.killed_at = time.time()
            proxy.signal(signal.SIGKILL)
            proxy.start()
            continue
        with ground.service_away():
            ground.broker.kill()
            time.sleep(KAFKA_AWAY_S)
            ground.start_broker()
        found.kafka_killed += 1


def _kill_workers(ground: Ground, ended: threading.Event, found: Truth) -> None:
    while not ended.wait(WORKER_KILLED_EVERY_S):
        worker = ground.alive(found.workers_killed % WORKERS)
        worker._is_to_die = True
        worker.signal(signal.SIGKILL)
        found.workers_killed += 1


def _wait_for_outbox(proxy: world.ProxyProcess) -> None:
    """Until no outbox holds anything."""
    import sqlite3

    deadline_s = time.monotonic() + DRAIN_PATIENCE_S
    for path in sorted((proxy.data_dir / "gateway").glob("outbox-*.sqlite")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as outbox:
            while outbox.execute("select exists (select 1 from event)").fetchone()[0]:
                assert time.monotonic() < deadline_s, f"{path} is not emptied:\n{proxy.text()[-2000:]}"
                time.sleep(0.5)


def _stored(ground: Ground) -> list[dict[str, Any]]:
    """The ledger's events in the shape of events."""
    rows = ground.ask(f"select event_id, status, usage_source, tags, {', '.join(_UNITS)} from usage_event_named")
    return [
        {
            "id": row[0],
            "data": {
                "status": row[1], "usage_source": row[2], "tags": row[3],
                "units": {unit: count for unit, count in zip(_UNITS, row[4:], strict=True) if count is not None},
            },
        }
        for row in rows
    ]  # fmt: skip


def _hold_against(
    bill: list[dict[str, Any]], events: list[dict[str, Any]], answered: dict[str, Any], found: Truth
) -> None:
    """Tag by tag. The ledger may lack what was under way or not yet written when the proxy was killed; nothing else."""
    theirs, ours = billed(bill), counted(events)
    last_at = {line["tag"]: line["at"] for line in bill}
    found.billed, found.stored = len(bill), len(events)
    for tag in sorted({*theirs, *ours}):
        if theirs.get(tag) == ours.get(tag):
            continue
        both = f"billed {_plain(theirs.get(tag))}, stored {_plain(ours.get(tag))}"
        sentence = f"{tag}: {both}, client got {answered.get(tag)}"
        before_s = found.killed_at - last_at.get(tag, 0.0)
        if found.killed_at and _lacks_calls_alone(ours.get(tag, {}), theirs.get(tag, {})) and -1.0 < before_s < 30.0:
            found.lost.append(f"{sentence}, {before_s:.3f} s before the kill")
            if _calls(ours.get(tag), "success") < _calls(theirs.get(tag), "success"):
                found.lost_tags.add(tag)
        elif tag in theirs and _failed_on_the_way(ours.get(tag, {}), theirs[tag]):
            found.unreached.append(sentence)
        else:
            found.wrong.append(sentence)


def _check_bypass(bill: list[dict[str, Any]], found: Truth) -> None:
    """The reconciliation must find BYPASS on the projects of lost calls that were billed tokens, and nowhere else."""
    expected = {line["tag"] for line in bill if line["tag"] in found.lost_tags and line["provider"] == "openai"}
    shown = set(found.classes.get("BYPASS", {}))
    found.wrong += [f"{tag}: lost, and the reconciliation does not show it as BYPASS" for tag in expected - shown]
    found.wrong += [f"{tag}: BYPASS in the reconciliation, and not lost" for tag in shown - expected]
    if Decimal(found.proof.get("difference", "1")) != 0:
        found.wrong.append(f"the reconciliation does not add up: {found.proof}")


def _failed_on_the_way(ours: Tally, theirs: Tally) -> bool:
    """Whether we count more failed calls than the vendor and all else agrees."""
    failed = ours.get("failure", Counter())
    known = theirs.get("failure", Counter())
    rest = [{kind: tally for kind, tally in both.items() if kind != "failure"} for both in (ours, theirs)]
    return rest[0] == rest[1] and failed["calls"] > known["calls"] and set(failed) == {"calls"}


def _lacks_calls_alone(ours: Tally, theirs: Tally) -> bool:
    """Whether whole calls are missing and nothing else: none too many, none of another kind, no other token."""
    return all(
        kind in theirs and (tally == theirs[kind] or tally["calls"] < theirs[kind]["calls"])
        for kind, tally in ours.items()
    )


def _calls(tallies: Tally | None, outcome: str) -> int:
    return (tallies or {}).get(outcome, Counter())["calls"]


def _plain(tallies: Any) -> Any:
    return {kind: dict(tally) for kind, tally in (tallies or {}).items()}


def tell(speed: dict[str, Felt] | None, truth: Truth | None) -> int:
    """Print what was found; the exit code."""
    if speed is not None:
        bare, ours = speed["without"], speed["with"]
        print("felt: the same calls without and with the callback, in turns")
        for share in (0.5, 0.99):
            print(
                f"  p{share * 100:g}: {bare.quantile(share):.1f} ms without, {ours.quantile(share):.1f} ms with: "
                f"ratio {ours.quantile(share) / bare.quantile(share):.3f}"
            )
        ratio = statistics.mean(ours.per_second) / statistics.mean(bare.per_second)
        print(f"  throughput: {statistics.mean(bare.per_second):.1f}/s without; ratio {ratio:.3f}")
        print(f"  the callback of itself: {json.dumps(ours.status)}", flush=True)
    if truth is None:
        return 0
    print(
        f"true: {truth.calls} calls, {truth.billed} billed by the vendor, {truth.stored} in the ledger; killed: Kafka "
        f"{truth.kafka_killed} times, workers {truth.workers_killed} times, the proxy {int(truth.killed_at > 0)} times"
    )
    print(f"  {len(truth.lost)} calls that the killed proxy had not handed over:")
    for line in truth.lost:
        print(f"    {line}")
    print(f"  {len(truth.unreached)} calls with failures that never reached the vendor; tokens and all else agree:")
    for line in truth.unreached:
        print(f"    {line}")
    said = ", ".join(f"{name} on {len(tags)} projects" for name, tags in sorted(truth.classes.items()))
    print(f"  the reconciliation of the bill, a project a call: {said or 'no breaks'}; proof {json.dumps(truth.proof)}")
    print(f"  BYPASS: {', '.join(sorted(truth.classes.get('BYPASS', {}))) or 'none'}")
    print(f"  {len(truth.wrong)} other differences")
    for line in truth.wrong[:50]:
        print(f"    {line}")
    return 7 if truth.wrong else 0


def main() -> int:
    """Both parts."""
    parser = argparse.ArgumentParser(description="LiteLLM under load with our callback")
    parser.add_argument("--calls", type=int, default=20_000, help="of the part with faults; 0: not that part")
    parser.add_argument("--felt-calls", type=int, default=1_000, help="of a round of the comparison; 0: not that part")
    parser.add_argument("--rounds", type=int, default=4, help="of the comparison")
    parser.add_argument("--at-once", type=int, default=200, help="calls under way at once")
    parser.add_argument("--keep", action="store_true", help="keep the directory with all logs")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="gateway-load-"))
    try:
        speed, truth = None, None
        if given.felt_calls:
            speed = felt(_made(directory / "felt"), given.felt_calls, given.at_once, given.rounds)
            tell(speed, None)
        if given.calls:
            truth = true(_made(directory / "true"), given.calls, given.at_once)
    finally:
        if given.keep:
            print(f"kept: {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return tell(None, truth)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


if __name__ == "__main__":
    sys.exit(main())
