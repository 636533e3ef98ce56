"""What each party was doing when a run got stuck, written down on the spot.

A worker answers from a thread of its own, so that it can when its loops stand still: where each of its tasks waits,
down to the innermost await, and what aiokafka and Faust believe. The threads' own stacks it writes on `STACKS_SIGNAL`
(`faulthandler`), also where that thread cannot run.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient

from producers.topic import reach
from streams import worker as streams_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.ground import Ground
    from tests.faults.worker import WorkerProcess

ASKED, ANSWER, STACKS = "asked", "answer", "stacks"
"""Files in a worker's directory."""
STACKS_SIGNAL = signal.SIGRTMIN
"""SIGUSR1 and SIGUSR2 are mode's: a stack of each task, a debugger."""
LOOKED_FOR_EVERY_S = 0.5
ANSWERED_WITHIN_S = 10.0
AWAITS_MAX = 40
_BACKENDS = """select pid, state, wait_event_type, wait_event, now() - xact_start, pg_blocking_pids(pid),
               left(query, 90)
               from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() order by 1"""
_LOCKS_WAITED_FOR = "select pid, locktype, relation::regclass::text, mode from pg_locks where not granted order by 1"

_workers: list[streams_worker.UsageWorker] = []


def listen(directory: Path) -> None:
    """In the worker's process, before the worker is made: answer when asked."""
    faulthandler.register(STACKS_SIGNAL, (directory / STACKS).open("w", encoding="utf-8"), all_threads=True)
    making = streams_worker.UsageWorker.__init__

    def noted(self: streams_worker.UsageWorker, settings: streams_worker.WorkerSettings) -> None:
        making(self, settings)
        _workers.append(self)

    streams_worker.UsageWorker.__init__ = noted  # type: ignore[method-assign]
    threading.Thread(target=_answer_when_asked, args=(directory,), daemon=True).start()


def take(ground: Ground, what: str, path: Path) -> None:
    """Ask everybody, and write it into `path`. Whatever cannot be asked says why."""
    parts: list[tuple[str, Callable[[], str]]] = [
        ("the group", lambda: _group(ground)),
        ("offsets: stored, end of the log", lambda: _offsets(ground)),
        ("the harness's producer", ground.load.state),
        ("PostgreSQL's backends", lambda: _rows(ground, _BACKENDS)),
        ("locks waited for", lambda: _rows(ground, _LOCKS_WAITED_FOR)),
    ]
    parts += [(worker.plan.name, lambda worker=worker: _worker(worker)) for worker in list(ground.workers)]  # type: ignore[misc]
    with path.open("w", encoding="utf-8") as out:
        out.write(f"{time.strftime('%H:%M:%S')} {what}\n")
        for title, ask in parts:
            try:
                said = ask()
            except Exception as error:  # noqa: BLE001 - the rest is asked all the same
                said = f"cannot be asked: {type(error).__name__}: {error}"
            out.write(f"\n=== {title}\n{said}\n")
            out.flush()


def _group(ground: Ground) -> str:
    admin = KafkaAdminClient(bootstrap_servers=ground.bootstrap, bootstrap_timeout_ms=5_000)
    try:
        found = admin.describe_groups([ground.group])[ground.group]
    finally:
        admin.close()
    members = [f"  {member}" for member in found.pop("members", [])]
    return "\n".join([str(found), *members])


def _offsets(ground: Ground) -> str:
    ends, stored = reach(ground.access, ground.log), ground.offsets()
    return "\n".join(f"{partition}: {stored.get(partition)} of {ends[partition].end}" for partition in sorted(ends))


def _rows(ground: Ground, query: str) -> str:
    return "\n".join(" | ".join(str(value) for value in row) for row in ground.ask(query))


def _worker(worker: WorkerProcess) -> str:
    """Its answer, or its threads' stacks, and the end of its log."""
    log = "\n".join(worker.said().splitlines()[-60:])
    if worker.exit_code is not None:
        return f"ended with {worker.exit_code}\n--- log\n{log}"
    answer = worker.directory / ANSWER
    answer.unlink(missing_ok=True)
    (worker.directory / ASKED).touch()
    worker.signal(STACKS_SIGNAL)
    give_up_s = time.monotonic() + ANSWERED_WITHIN_S
    while not answer.exists() and time.monotonic() < give_up_s:
        time.sleep(0.1)
    said = answer.read_text(encoding="utf-8") if answer.exists() else f"no answer in {ANSWERED_WITHIN_S:.0f} s"
    state = next(
        (line for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if line.startswith("State")), ""
    )
    stacks = (worker.directory / STACKS).read_text(encoding="utf-8")
    return f"{state}\n{said}\n--- threads\n{stacks}\n--- log\n{log}"


def _answer_when_asked(directory: Path) -> None:
    while True:
        time.sleep(LOOKED_FOR_EVERY_S)
        if not (directory / ASKED).exists():
            continue
        (directory / ASKED).unlink(missing_ok=True)
        lines: list[str] = []
        for worker in _workers:
            for part in (_beliefs, _tasks):
                try:
                    lines += part(worker)
                except Exception as error:  # noqa: BLE001 - half an answer is better than none
                    lines.append(f"{part.__name__}: {type(error).__name__}: {error}")
        beside = directory / f"{ANSWER}.new"
        beside.write_text("\n".join(lines), encoding="utf-8")
        beside.replace(directory / ANSWER)


def _beliefs(worker: streams_worker.UsageWorker) -> list[str]:
    """What Faust and aiokafka think."""
    app: Any = worker.app
    consumer: Any = app.consumer
    client: Any = consumer._thread._consumer
    coordinator, fetcher, subscription = client._coordinator, client._fetcher, client._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    places = {tp.partition: assignment.state_value(tp) for tp in assignment.tps} if assignment is not None else {}
    flow = (
        f"faust: flow {consumer.flow_active}, rebalancing {app.rebalancing}, generation {app.consumer_generation_id},"
        f" should stop {app.should_stop}, fetcher {_done(app._fetcher)}, active {consumer._active_partitions},"
        f" unsought {consumer._thread.is_unsought}"
    )
    membership = (
        f"coordinator: {coordinator.coordinator_id}, generation {coordinator.generation}, member"
        f" {coordinator.member_id}, pending exception {coordinator._pending_exception!r}, rejoin needed"
        f" {coordinator._rejoin_needed_fut.done()}, coordination {_done(coordinator._coordination_task)}, heartbeat"
        f" {_done(coordinator._heartbeat_task)}, refresh {_done(coordinator._commit_refresh_task)}"
    )
    fetching = (
        f"fetcher: {_done(fetcher._fetch_task)}, in flight {fetcher._in_flight}, records {list(fetcher._records)},"
        f" reassignment {subscription is None or subscription._reassignment_in_progress}"
    )
    return [
        flow,
        membership,
        fetching,
        f"positions: { {partition: state._position for partition, state in sorted(places.items())} }",
        f"client: metadata asked for {client._client._md_update_fut}, synchronizer {_done(client._client._sync_task)}",
    ]


def _done(task: Any) -> str:
    if task is None or not isinstance(task, asyncio.Future):
        return repr(task)
    if not task.done():
        return "goes on"
    return "cancelled" if task.cancelled() else f"ended: {task.exception()!r}"


def _tasks(worker: streams_worker.UsageWorker) -> list[str]:
    app: Any = worker.app
    loops = {"main": app.loop, "consumer": app.consumer._thread.thread_loop}
    return [
        f"{name}: " + " > ".join(_awaits(task))
        for name, loop in loops.items()
        for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    ]


def _awaits(task: asyncio.Task[Any]) -> Iterator[str]:
    """From the task's own coroutine down to what it waits for."""
    waiting: Any = task.get_coro()
    for _ in range(AWAITS_MAX):
        kind = _kind(waiting)
        if kind is None:
            # A step of an asynchronous generator, or a wrapper, holds what it goes through without saying so.
            within = next((held for held in gc.get_referents(waiting) if _kind(held)), None)
            if within is None:
                if waiting is not None:
                    yield repr(waiting)[:160]
                return
            waiting = within
            continue
        frame = getattr(waiting, f"{kind}_frame")
        name = getattr(waiting, "__qualname__", "?")
        yield f"{name}:{frame.f_lineno}" if frame is not None else name
        waiting = getattr(waiting, f"{kind}_yieldfrom" if kind == "gi" else f"{kind}_await", None)


def _kind(waiting: Any) -> str | None:
    """The prefix of its attributes: coroutine, generator, asynchronous generator; None for anything else."""
    return next((kind for kind in ("cr", "gi", "ag") if hasattr(waiting, f"{kind}_frame")), None)
