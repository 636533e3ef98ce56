"""`make alert-faults`: a month of alerts, compressed, while writers and alert processes are killed at random by seed
and the mail server refuses, delays and forgets to answer.

Each event is stored by what a stream worker stores with (decode, prepare, sink), in processes of their own that are
killed and begin where SQL stands; Kafka is left out, `make faults` has it. The alert processes are
`jangbu.alerting.run` itself, two at a time. At the end: every alert that is due is kept, none beside, each under one
id; every delivery has arrived, and what arrived twice came under the same id. Exit status 0, or 7 where something is
wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Self

CHECKOUT = str(Path(__file__).resolve().parents[2])
if CHECKOUT not in sys.path:
    sys.path.insert(0, CHECKOUT)

import psycopg  # noqa: E402

from billing.alerts.law import check_alerts  # noqa: E402
from billing.quotas.quota import read_quotas  # noqa: E402
from billing.quotas.register import write_quotas  # noqa: E402
from jangbu.auditing import run_check  # noqa: E402
from jangbu.database import connect  # noqa: E402
from jangbu.migrate import migrate_database  # noqa: E402
from jangbu.services.postgres import EmbeddedPostgres  # noqa: E402
from tests.alert_faults import hands  # noqa: E402
from tests.alert_faults.hands import Orders, write_file  # noqa: E402
from tests.alert_faults.month import PARTITIONS, Month  # noqa: E402
from tests.alert_faults.planted import DEFECTS  # noqa: E402
from tests.alert_faults.post_office import PostOffice  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from jangbu.services.postgres import DatabaseUrls

ALERTERS = 2
PATIENCE_S = 300.0
EXIT_WRONG = 7
HURRY_S = 0.25
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.alert_faults.hands"])


@dataclass
class Report:
    """What a run found."""

    due: int = 0
    deliveries: int = 0
    messages: int = 0
    twice: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    mischief: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    took_s: float = 0.0

    def text(self) -> str:
        """For a terminal."""
        lines = [
            f"{self.due} alerts due, {self.deliveries} deliveries; {self.took_s:.0f} s",
            f"{self.messages} messages taken, of them {self.twice} again under the same id",
            "killed: " + (", ".join(f"{name} {count}" for name, count in sorted(self.kills.items())) or "nobody"),
            "the mail server: " + ", ".join(f"{name} {count}" for name, count in sorted(self.mischief.items())),
            *(f"WRONG: {one}" for one in self.violations[:20]),
            f"{len(self.violations)} violations",
        ]
        return "\n".join(lines)


class Crew:
    """Processes by name, each started again where it ended, and killed at random while `killing`."""

    def __init__(self, seed: int, every_s: float, jobs: dict[str, tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
        self._choose, self._every_s, self._jobs = Random(seed), every_s, jobs
        self._processes: dict[str, Any] = {}
        self._stop = threading.Event()
        self.kills: Counter[str] = Counter()
        self.killing = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.killing.set()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        for process in self._processes.values():
            process.kill()
            process.join()

    def _run(self) -> None:
        """One thread starts, kills and reaps: a child of the fork server is reaped once."""
        kill_at_s = time.monotonic() + self._every_s
        while not self._stop.wait(0.02):
            for name, (work, words) in self._jobs.items():
                if name not in self._processes or not self._processes[name].is_alive():
                    self._processes[name] = _forks.Process(target=work, args=words, name=name, daemon=True)
                    self._processes[name].start()
            if self.killing.is_set() and time.monotonic() > kill_at_s:
                role = self._choose.choice(("writer", "alerter"))
                name = self._choose.choice(sorted(name for name in self._processes if name.startswith(role)))
                with suppress(ProcessLookupError):
                    os.kill(self._processes[name].pid, signal.SIGKILL)
                self.kills[role] += 1
                kill_at_s = time.monotonic() + self._choose.expovariate(1 / self._every_s)


def run(
    urls: DatabaseUrls, directory: Path, month: Month, *, kill_every_s: float, defect: str = "",
    say: Callable[[str], None] = lambda _sentence: None,
) -> Report:  # fmt: skip
    """Live through a month in a migrated, empty database and hold what came of it against what was due."""
    began_s = time.monotonic()
    report = Report()
    _bring_quotas(urls, month)
    office = PostOffice(month.seed)
    orders = Orders(urls, directory / "clock", directory / "today", office.url, defect)
    write_file(orders.clock, month.clock(0).isoformat())
    write_file(orders.today, -1)
    jobs: dict[str, Any] = {f"alerter-{place}": (hands.tell, (orders,)) for place in range(ALERTERS)}
    for place in range(PARTITIONS):
        file = hands.keep_partition(directory, place, month.chunks[place])
        jobs[f"writer-{place}"] = hands.write_partition, (orders, file, place)
    threading.Thread(target=office.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with Crew(month.seed, kill_every_s, jobs) as crew, psycopg.connect(urls.owner, autocommit=True) as owner:
            for day in range(month.days_count + 1):
                write_file(orders.clock, month.clock(day).isoformat())
                write_file(orders.today, day)
                _live_through(owner, month, day)
                say(f"day {day}: {_one(owner, 'select count(*) from alert')} alerts, {len(office.taken)} messages")
            crew.killing.clear()
            office.is_well = True
            _wait("the deliveries", owner, lambda: _is_delivered(owner))
            report.kills = crew.kills
            _judge(owner, urls, month, office, report)
    finally:
        office.shutdown()
        office.server_close()
    report.mischief, report.took_s = office.did, time.monotonic() - began_s
    return report


def _live_through(owner: psycopg.Connection[Any], month: Month, day: int) -> None:
    """Until a day's events are stored and were looked at afterwards."""
    _wait(f"day {day} to be stored", owner, lambda: _is_stored(owner, month, day))
    stored_at = _one(owner, "select clock_timestamp()")
    _wait(f"day {day} to be looked at", owner, lambda: _is_seen(owner, month, day, stored_at))


def _bring_quotas(urls: DatabaseUrls, month: Month) -> None:
    engine = connect(urls.billing)
    with engine.begin() as connection:
        rows = read_quotas(month.csv().encode(), "quotas.csv")
        write_quotas(connection, rows, name="quotas.csv", sha256="0" * 64, actor="os:test")
    engine.dispose()


def _one(owner: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    row = owner.execute(query.encode(), values or None).fetchone()
    return None if row is None else row[0]


def _wait(what: str, owner: psycopg.Connection[Any], condition: Callable[[], bool]) -> None:
    """Until it holds; waits between tries of a delivery are over at once meanwhile."""
    give_up_s, hurried_s = time.monotonic() + PATIENCE_S, 0.0
    while not condition():
        if time.monotonic() > give_up_s:
            raise AssertionError(f"not in {PATIENCE_S:.0f} s: {what}")
        if time.monotonic() > hurried_s + HURRY_S:
            with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                owner.execute(
                    """update alert_delivery set state = 'waiting', next_at = now() where id in (
                         select id from alert_delivery where state = 'dead' or state = 'waiting' and next_at > now()
                         for update skip locked)"""
                )
            hurried_s = time.monotonic()
        time.sleep(0.02)


def _is_stored(owner: psycopg.Connection[Any], month: Month, day: int) -> bool:
    stored = dict(owner.execute("select partition, next_offset from stream_offset").fetchall())
    return all(stored.get(partition, 0) >= end for partition, end in month.end_offsets(day).items())


def _is_seen(owner: psycopg.Connection[Any], month: Month, day: int, stored_at: datetime) -> bool:
    query = "select exists (select from quota_look where as_of = %s and looked_at > %s)"
    return bool(_one(owner, query, month.clock(day), stored_at))


def _is_delivered(owner: psycopg.Connection[Any]) -> bool:
    return not _one(owner, "select count(*) from alert_delivery where state <> 'sent'")


def _judge(
    owner: psycopg.Connection[Any], urls: DatabaseUrls, month: Month, office: PostOffice, report: Report
) -> None:
    """Nothing missing, nothing beside, one id each."""
    wrong, due = report.violations, month.due()
    kept = owner.execute("select uid, id from alert where kind = 'threshold'").fetchall()
    report.due = len(due)
    missing = due.keys() - {row[0] for row in kept}
    wrong += [f"alert {uid} of quota {due[uid].number} is due and not kept" for uid in missing]
    wrong += [f"alert {row[1]} is kept and not due" for row in kept if row[0] not in due]
    twice = Counter(row[0] for row in kept)
    wrong += [f"alert {uid} is kept {count} times" for uid, count in twice.items() if count > 1]
    rows = owner.execute(
        "select d.id, a.uid, a.kind, d.recipient from alert_delivery d join alert a on a.id = d.alert_id"
    ).fetchall()
    wanted = {(uid, recipient) for uid, quota in due.items() for recipient in quota.notify}
    there = {(uid, recipient) for _, uid, kind, recipient in rows if kind == "threshold"}
    wrong += [f"alert {uid} has no delivery to {recipient}" for uid, recipient in wanted - there]
    known = {row[0] for row in rows}
    report.deliveries = len(rows)
    messages: dict[str, set[str]] = {}
    for taken in office.taken:
        for delivery in taken.deliveries:
            messages.setdefault(delivery, set()).add(taken.message)
    wrong += [f"delivery {one} never arrived" for one in known - messages.keys()]
    wrong += [f"something arrived as {one}, which nobody made" for one in messages.keys() - known]
    wrong += [f"delivery {one} arrived under {len(ids)} ids" for one, ids in messages.items() if len(ids) > 1]
    report.messages = len(office.taken)
    report.twice = len(office.taken) - len({taken.message for taken in office.taken})
    engine = connect(urls.owner)
    with engine.connect() as connection:
        wrong += run_check(connection, "8-alerts").violations
        wrong += check_alerts(connection).violations
    engine.dispose()


def next_month(today: date) -> date:
    """The first day of the month after: quotas are known before its windows end."""
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def main(arguments: list[str]) -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quotas", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--events-a-day", type=int, default=10_000)
    parser.add_argument("--kill-every-s", type=float, default=3.0)
    parser.add_argument("--planted", choices=DEFECTS, default="")
    options = parser.parse_args(arguments)
    first = next_month(datetime.now(UTC).date())
    month = Month(options.seed, options.quotas, options.days, first, options.events_a_day)
    with tempfile.TemporaryDirectory(prefix="jangbu-alerts-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        with EmbeddedPostgres(directory / "cluster", directory / "run", durable=False).start() as server:
            migrate_database(server.urls.owner)
            report = run(
                server.urls, directory, month, kill_every_s=options.kill_every_s, defect=options.planted,
                say=lambda sentence: print(sentence, file=sys.stderr, flush=True),
            )  # fmt: skip
    print(f"seed {options.seed}: {options.quotas} quotas, {options.days} days")
    print(report.text())
    return EXIT_WRONG if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
