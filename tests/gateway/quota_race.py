"""Several gateway processes at one limit: how far they overshoot it. `python -m tests.gateway.quota_race` prints it for
1, 4 and 8 processes, soft and hard; the tests run it small and with kills."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psycopg

from producers.contract import identity_digest
from tests.gateway.quota_driver import DEPARTMENT, MODEL, SOURCE, USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.http_world import OpenDoor

STORE_EVERY_S = 0.25
DRIVER = Path(__file__).with_name("quota_driver.py")


class Raced(NamedTuple):
    """used: what all calls used together; calls: how many; stored: what of it the sums hold; lost: calls' lines that
    were never settled are among `used` all the same."""

    used: int
    calls: int
    stored: int
    killed: int
    status: list[dict[str, Any]]


class Worker:
    """Stores what drivers wrote: each event and its part of the sums in one transaction, as a worker does."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._read: dict[Path, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.stored = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._url) as connection:
            route, payer = _route_and_payer(connection)
            while not self._stop.wait(STORE_EVERY_S):
                self._store(connection, route, payer)
            self._store(connection, route, payer)

    def _store(self, connection: psycopg.Connection, route: int, payer: int) -> None:
        lines = []
        for path in self._directory.glob("*.calls"):
            text = path.read_bytes()[self._read.get(path, 0):]
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            lines += [json.loads(line) for line in whole.splitlines()]
        if not lines:
            return
        hour = int(lines[0][1]) // 3600
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into usage_event (event_key, time, kafka_offset, route_id, payer_id, partition, log_id,"
                " event_id) values (%s::uuid, to_timestamp(%s), 0, %s, %s, 0, 1, %s)",
                [((hour.to_bytes(4, "big") + identity_digest(SOURCE, name)).hex(), at, route, payer, name)
                 for name, at, _, _ in lines],
            )  # fmt: skip
            tokens = sum(line[2] for line in lines)
            cursor.execute(
                "insert into usage_part (hour, route_id, payer_id, partition, log_id, events, output_tokens, requests)"
                " values (%s, %s, %s, 0, 1, %s, %s, %s)",
                (hour, route, payer, len(lines), tokens, len(lines)),
            )
            cursor.execute("select pg_notify('jangbu_sums', '')")
        connection.commit()
        self.stored += tokens


def race(
    door: OpenDoor, database: str, directory: Path, *, processes: int, rate: float, seconds: float, kills: int = 0
) -> Raced:
    """Drive one limit; `kills` of processes at random meanwhile, each begun again in its slot."""
    directory.mkdir()
    url = f"http://127.0.0.1:{door.port}"
    killed = 0

    def begin(number: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(DRIVER), url, _token(door), str(directory), str(number), str(rate)]
        return subprocess.Popen(words, stderr=subprocess.DEVNULL)

    with Worker(database, directory) as worker, ExitStack() as stack:
        running = {number: begin(number) for number in range(processes)}
        stack.callback(lambda: [one.kill() for one in running.values() if one.poll() is None])
        wait_s = time.monotonic() + 60
        while len(list(directory.glob("*.ready"))) < processes and time.monotonic() < wait_s:
            time.sleep(0.05)
        end_s = time.monotonic() + seconds
        kill_at = sorted(time.monotonic() + seconds * random.uniform(0.1, 0.8) for _ in range(kills))
        while time.monotonic() < end_s:
            if kill_at and time.monotonic() >= kill_at[0]:
                kill_at.pop(0)
                number = random.randrange(processes)
                running[number].send_signal(signal.SIGKILL)
                running[number].wait()
                running[number] = begin(number)
                killed += 1
            time.sleep(0.02)
        for one in running.values():
            one.send_signal(signal.SIGTERM)
        for one in running.values():
            one.wait(30)
    lines = [json.loads(line) for path in directory.glob("*.calls") for line in path.read_bytes().splitlines()]
    status = [json.loads(path.read_text()) for path in directory.glob("*.status")]
    return Raced(sum(line[2] for line in lines), len(lines), worker.stored, killed, status)


def _token(door: OpenDoor) -> str:
    return door.environment["JANGBU_TOKEN"]


def _route_and_payer(connection: psycopg.Connection) -> tuple[int, int]:
    route = connection.execute(
        "insert into route (source, provider, model, service_tier, status, usage_source)"
        " values (%s, 'openai', %s, 'standard', 'success', 'provider') on conflict do nothing returning id",
        (SOURCE, MODEL),
    ).fetchone() or connection.execute("select id from route").fetchone()
    payer = connection.execute(
        "insert into payer (department, attributed_by, \"user\") values (%s, 'event', %s)"
        " on conflict do nothing returning id", (DEPARTMENT, USER)
    ).fetchone() or connection.execute("select id from payer").fetchone()
    connection.commit()
    assert route is not None
    assert payer is not None
    return int(route[0]), int(payer[0])



def measure(mode: str, processes: int, limit: int, rate: float, seconds: float) -> Raced:
    """One race on a house of its own."""
    import os
    import tempfile

    from jangbu.migrate import migrate_database
    from jangbu.services.postgres import EmbeddedPostgres
    from tests.integration.command_world import environment
    from tests.integration.http_world import OpenDoor as Door

    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        server = EmbeddedPostgres(Path(name) / "cluster", Path(name) / "run", durable=False)
        server.start()
        try:
            migrate_database(server.urls.owner)
            line = f"department,{DEPARTMENT},,output_tokens,{limit},year,,,{mode}\n"
            file = Path(name) / "quotas.csv"
            file.write_text(f"scope,subject,model,unit,limit,window,thresholds,notify,mode\n{line}")
            settings = environment(server.urls)
            words = [sys.executable, "-m", "jangbu", "quota", "import", str(file), "--yes"]
            subprocess.run(words, check=True, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
            lower = {name.removeprefix("JANGBU_").lower(): value for name, value in settings.items()}
            with Door(Path(name), **lower) as door:
                return race(
                    door, server.urls.owner, Path(name) / "race", processes=processes, rate=rate, seconds=seconds
                )
        finally:
            server.stop()


def decide(calls: int = 5_000) -> list[float]:
    """Seconds that each of many decisions from memory took, one after the other, rising; against three quotas."""
    from jangbu.gateway.enforcing import Enforcer
    from jangbu.gateway.known import Asked, Caller
    from tests.gateway.quota_driver import settings_of

    quotas = [
        [1, "organisation", "", "", "tokens", "day", "1e12", "soft", None, None],
        [2, "department", DEPARTMENT, "", "tokens", "month", "1e12", "soft", None, None],
        [3, "user", "*", "", "requests", "hour", "1e12", "soft", None, None],
    ]
    access = {"pledges": None, "users": {}, "keys": {}, "programmes": []}
    enforcer = Enforcer(settings_of("http://127.0.0.1:9", "", Path()), "slot", lambda: True)
    news = {"zone": "Asia/Seoul", "epoch": "1", "version": 1, "quotas": quotas, "whole": True, "used": []}
    enforcer.known = enforcer.known.and_then({**news, "access": access})
    caller, asked = Caller(USER, DEPARTMENT, None), Asked("gpt", (("openai", MODEL),))
    data = {"messages": [{"role": "user", "content": "a question"}], "max_tokens": 50}
    took_s = []
    for _ in range(calls):
        began_s = time.perf_counter()
        enforcer.judge(caller, asked, data, "acompletion", datetime.now(UTC))
        took_s.append(time.perf_counter() - began_s)
    return sorted(took_s)


def main() -> None:
    """Print how long decisions take, and overshoot for 1, 4 and 8 processes, soft and hard."""
    took_s = decide()
    print(f"one after the other: p50 {_at(took_s, 0.5):.0f} us, p99 {_at(took_s, 0.99):.0f} us")
    limit, rate, seconds = 4_000, 20.0, 12.0
    for mode in ("soft", "hard"):
        for processes in (1, 4, 8):
            raced = measure(mode, processes, limit, rate, seconds)
            beyond = max(0, raced.used - limit)
            refused = sum(one["refused"] for one in raced.status)
            decided = "; ".join(_decided(raced, how) for how in ("from memory", "with a lease"))
            print(
                f"{mode} {processes}: used {raced.used} of {limit}, beyond {beyond} "
                f"({beyond / (processes * rate * 25.5):.2f} s of all use), calls {raced.calls}, "
                f"refused {refused}; {decided}"
            )


def _decided(raced: Raced, how: str) -> str:
    """How long decisions of one kind took, microseconds."""
    took_s = sorted(second for one in raced.status for second in one["decisions_s"][how])
    if not took_s:
        return f"{how}: none"
    return f"{how}: {len(took_s)} decisions, p50 {_at(took_s, 0.5):.0f} us, p99 {_at(took_s, 0.99):.0f} us"


def _at(rising_s: Sequence[float], share: float) -> float:
    """A quantile, in microseconds."""
    return 1e6 * rising_s[int(len(rising_s) * share)]


if __name__ == "__main__":
    main()
