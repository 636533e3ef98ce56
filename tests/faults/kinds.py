"""The kinds of faults: each is given where it strikes, does its harm, and waits until it is done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.faults.ground import EXPELLED_AFTER_S, PATIENCE_S, Ground
from tests.faults.worker import WorkerProcess

NUDGE_AFTER_S = 2.0
INGEST_LINES = 2_000
INGEST_TRIES_MAX = 40

Target = Literal["worker", "service", "proxy", "load"]
"""What a fault strikes: of one target each only one fault at a time, and three workers are three targets."""


@dataclass(slots=True)
class Strike:
    """One fault of a run. `place` is the worker's, where it strikes one; `told` is what came of it."""

    kind: Kind
    number: int
    place: int
    choose: Random
    told: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: its name in the table, how often it is drawn, what it strikes, how."""

    name: str
    weight: int
    target: Target
    strike: Callable[[Ground, Strike], None]


def kill_at(point: str) -> Callable[[Ground, Strike], None]:
    """SIGKILL by the worker itself at a point; another process takes its place."""

    def strike(ground: Ground, strike: Strike) -> None:
        worker = carried_out(ground, strike, point, "kill")
        worker.join(10.0)
        ground.alive(strike.place)

    return strike


def stop_at(point: str) -> Callable[[Ground, Strike], None]:
    """SIGSTOP at a point until the group has expelled the worker; then SIGCONT: it must write nothing of what others
    stored meanwhile."""

    def strike(ground: Ground, strike: Strike) -> None:
        worker = carried_out(ground, strike, point, "stop")
        time.sleep(EXPELLED_AFTER_S + strike.choose.random())
        ground.note_waking(worker.plan.name)
        worker.signal(signal.SIGCONT)

    return strike


def carried_out(ground: Ground, strike: Strike, point: str, action: str) -> WorkerProcess:
    """The worker that carried an order out. Where one ends by itself before (a service is away), its successor does."""
    give_up_s = ground.clock() + PATIENCE_S
    nudge_s = time.monotonic() + NUDGE_AFTER_S
    passing = 1 if point == "rebalance" else strike.choose.randint(1, 3)
    while True:
        worker = ground.alive(strike.place)
        order = worker.order(point, action, passing)
        while not worker.has_done(order) and worker.exit_code is None:
            if ground.clock() > give_up_s:
                raise ground.stuck(f"{worker.plan.name} did not pass {point} in {PATIENCE_S:.0f} s")
            if point == "rebalance" and time.monotonic() > nudge_s:
                ground.nudge()
                nudge_s = time.monotonic() + NUDGE_AFTER_S
            time.sleep(0.02)
        if worker.has_done(order):
            return worker


def leave(ground: Ground, strike: Strike) -> None:
    """SIGTERM: a worker that goes in order, in the middle of its work; it must end by itself."""
    time.sleep(strike.choose.random())
    worker = ground.alive(strike.place)
    ground.wait(f"{worker.plan.name} stores or ends", lambda: ground.has_stored(worker) or worker.exit_code is not None)
    if worker.exit_code is None and (code := worker.stop(60.0)) != 0:
        strike.told = f"{worker.plan.name} ended with {code} on SIGTERM"
    ground.alive(strike.place)


def restart_broker(*, kill: bool) -> Callable[[Ground, Strike], None]:
    """Kafka goes away, cleanly or not, and comes back on its address with its data."""

    def strike(ground: Ground, strike: Strike) -> None:
        with ground.service_away():
            (ground.broker.kill if kill else ground.broker.stop)()
            time.sleep(strike.choose.random())
            ground.start_broker()

    return strike


def kill_postgres(ground: Ground, strike: Strike) -> None:
    """SIGKILL to PostgreSQL; it recovers from its log when it is started again."""
    with ground.service_away():
        ground.postgres.kill()
        time.sleep(strike.choose.random())
        ground.postgres.start()


def lose(cut: Literal["commit", "reply"]) -> Callable[[Ground, Strike], None]:
    """A chunk's commit, or its reply, is lost with the connection."""

    def strike(ground: Ground, strike: Strike) -> None:
        ground.proxy.order(cut)
        ground.wait(f"a chunk's commit, so that it could lose its {cut}", ground.proxy.has_cut)

    return strike


def send_copies(ground: Ground, strike: Strike) -> None:
    """Events that were sent before come again, some of them several times."""
    ground.load.send_copies(strike.choose.randint(50, 400))


def send_in_no_order(ground: Ground, strike: Strike) -> None:
    """New and old events in no order of time."""
    ground.load.send_new(strike.choose.randint(50, 300), shuffled=True)


def kill_ingest(ground: Ground, strike: Strike) -> None:
    """`jangbu ingest` is killed in mid-file, and called again until it is through."""
    directory = ground.directory / f"ingest-{strike.number}"
    directory.mkdir()
    lines = ground.load.lines(INGEST_LINES)
    file = directory / "usage.ndjson"
    file.write_bytes(lines)
    kills_left = strike.choose.randint(1, 2)
    for _ in range(INGEST_TRIES_MAX):
        process = ground.ingest(file, directory / "data")
        if kills_left:
            time.sleep(0.6 + 1.2 * strike.choose.random())
            kills_left -= 1
            process.kill()
        if process.wait() == 0:
            ground.load.accept_lines(lines)
            return
    raise ground.stuck(f"`jangbu ingest` of {file} did not end with 0 in {INGEST_TRIES_MAX} tries")


KINDS = (
    Kind("worker killed before SQL", 14, "worker", kill_at("before_sql")),
    Kind("worker killed in the transaction", 14, "worker", kill_at("in_transaction")),
    Kind("worker killed after commit, before ack", 14, "worker", kill_at("after_commit")),
    Kind("worker killed during rebalance", 9, "worker", kill_at("rebalance")),
    Kind("worker stopped before SQL until expelled", 6, "worker", stop_at("before_sql")),
    Kind("worker stopped in the transaction", 5, "worker", stop_at("in_transaction")),
    Kind("worker asked to leave", 4, "worker", leave),
    Kind("broker killed", 3, "service", restart_broker(kill=True)),
    Kind("broker restarted", 2, "service", restart_broker(kill=False)),
    Kind("PostgreSQL killed", 6, "service", kill_postgres),
    Kind("commit's reply lost", 8, "proxy", lose("reply")),
    Kind("commit lost", 5, "proxy", lose("commit")),
    Kind("copies sent", 4, "load", send_copies),
    Kind("sent in no order", 4, "load", send_in_no_order),
    Kind("ingest killed in mid-file", 4, "load", kill_ingest),
)
