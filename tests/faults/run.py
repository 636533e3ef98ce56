"""`make faults`: exactly once, under hundreds of faults, on Apache Kafka and PostgreSQL with three workers.

A run is given by its seed: which faults strike in which order, what is sent. It goes in rounds: in each, several
faults strike at once, at different targets, while events come in. At its end everything is read, and the ledger is
held against what was accepted (tests/faults/truth.py).

Exit codes: 0 all is as it must be; 7 a violation; 6 the time was over before all faults had struck; 1 it got stuck.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.ground import WORKERS, Ground, Stuck
from tests.faults.kinds import KINDS, Kind, Strike
from tests.faults.truth import violations, violations_so_far

FAULTS = 300
MINUTES = 30.0
ROUND_JOIN_S = 1800.0
TOLD_EVERY = 25


@dataclass
class Report:
    """What came of a run."""

    seed: int
    wanted: int
    struck: Counter[str] = field(default_factory=Counter)
    seconds_by_kind: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    violations: list[str] = field(default_factory=list)
    stuck: str = ""
    remarks: list[str] = field(default_factory=list)
    events: int = 0
    records: int = 0
    chunks: int = 0
    starts: int = 0
    started_in_vain: int = 0
    wakings: int = 0
    expelled: int = 0
    told: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many struck."""
        return sum(self.struck.values())

    @property
    def exit_code(self) -> int:
        """Of the program."""
        if self.violations:
            return 7
        if self.stuck:
            return 1
        return 0 if self.faults >= self.wanted else 6


def rounds(seed: int, faults: int, kinds: tuple[Kind, ...] = KINDS) -> list[list[tuple[Kind, int]]]:
    """The faults of a run in rounds: in each at most one on each worker, one on the services, the proxy, the load.

    A commit can only be lost where PostgreSQL and Kafka stay up meanwhile, and a worker is only stopped in a round in
    which another one goes on: otherwise nothing would be there to fire at.
    """
    choose = Random(seed)
    every = [kind for kind in kinds for _ in range(kind.weight)]
    waiting = list(kinds) if faults >= len(kinds) else []
    waiting += [choose.choice(every) for _ in range(faults - len(waiting))]
    choose.shuffle(waiting)
    planned: list[list[tuple[Kind, int]]] = []
    while waiting:
        free = {"worker": choose.sample(range(WORKERS), WORKERS), "service": [0], "proxy": [0], "load": [0]}
        struck: list[tuple[Kind, int]] = []
        left: list[Kind] = []
        for kind in waiting:
            if free[kind.target] and len(struck) < 6:
                struck.append((kind, free[kind.target].pop()))
            else:
                left.append(kind)
        planned.append(struck)
        waiting = left
    return planned


def run(
    directory: Path,
    seed: int,
    faults: int,
    *,
    minutes: float = MINUTES,
    sink: str = "streams.sink:Sink",
    kinds: tuple[Kind, ...] = KINDS,
) -> Report:
    """One run. The report says what came of it; nothing is raised for what the run itself finds."""
    report = Report(seed, faults)
    began_s = time.monotonic()
    with Ground(directory, seed, sink) as ground:
        try:
            ground.warm_up()
            for number, struck in enumerate(rounds(seed, faults, kinds)):
                if time.monotonic() - began_s > minutes * 60:
                    break
                play(ground, Random(f"{seed}/{number}"), struck, report)
                tell(report, time.monotonic() - began_s)
        except Stuck as stuck:
            report.stuck = str(stuck)
        try:
            ground.drain()
            report.violations = violations(ground)
        except Stuck as stuck:
            report.stuck += f"; then: {stuck}"
            report.violations = violations_so_far(ground)
        report.events, report.records = len(ground.load.accepted), ground.load.records
        report.chunks = ground.ask("select count(*) from stream_chunk")[0][0]
        report.starts, report.started_in_vain = ground.starts, ground.started_in_vain
        report.wakings, report.expelled = len(ground.wakings), ground.expelled()
        if ground.load.replaced:
            report.remarks.append(f"the harness's own producer stood still, replaced {ground.load.replaced} times")
        report.remarks += [f"ended by itself: {sentence}" for sentence in ground.ended_by_themselves]
    report.seconds = time.monotonic() - began_s
    return report


def play(ground: Ground, choose: Random, struck: list[tuple[Kind, int]], report: Report) -> None:
    """One round: faults on services from this thread (they end with it), the others each from its own. Raises Stuck."""
    failures: list[str] = []
    strikes = [
        Strike(kind, report.faults + place_in_round, place, Random(choose.getrandbits(64)))
        for place_in_round, (kind, place) in enumerate(struck)
    ]

    def strike_one(strike: Strike) -> None:
        began_s = time.monotonic()
        try:
            strike.kind.strike(ground, strike)
            report.seconds_by_kind[strike.kind.name] += time.monotonic() - began_s
        except Exception as error:  # noqa: BLE001 - told by the round
            failures.append(f"{strike.kind.name}: {error}")

    threads = [
        threading.Thread(target=strike_one, args=(strike,)) for strike in strikes if strike.kind.target != "service"
    ]
    for thread in threads:
        thread.start()
    for strike in strikes:
        if strike.kind.target == "service":
            strike_one(strike)
    for thread in threads:
        thread.join(ROUND_JOIN_S)
    if failures:
        raise Stuck("; ".join(failures))
    for strike in strikes:
        report.struck[strike.kind.name] += 1
        report.remarks += [strike.told] if strike.told else []
    if any(strike.kind.target == "service" for strike in strikes):
        ground.read_on("every partition read on after a service came back")


def tell(report: Report, seconds: float) -> None:
    """How far a run is, on standard error; over itself on a terminal, else now and then."""
    line = f"seed {report.seed}: {report.faults} of {report.wanted} faults in {seconds:.0f} s"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}  ")
    elif report.faults // TOLD_EVERY > report.told // TOLD_EVERY:
        sys.stderr.write(f"{line}\n")
    report.told = report.faults
    sys.stderr.flush()


def table(report: Report) -> str:
    """What struck how often, and what came of it."""
    lines = [f"seed {report.seed}: {report.faults} faults in {report.seconds:.0f} s", ""]
    lines += [f"  {'fault':<44}{'times':>6}{'s each':>8}"]
    lines += [
        f"  {kind.name:<44}{times:>6}{report.seconds_by_kind[kind.name] / times:>8.1f}"
        for kind in KINDS
        if (times := report.struck[kind.name])
    ]
    lines += [
        f"  {'':<44}{'':->6}",
        f"  {'all':<44}{report.faults:>6}",
        "",
        f"  events accepted       {report.events:>9,}",
        f"  records sent          {report.records:>9,}, copies and poison included; more came by `jangbu ingest`",
        f"  chunks stored         {report.chunks:>9,}",
        f"  worker processes      {report.starts:>9,}, {report.started_in_vain} in vain: a service was away",
        f"  workers that woke up  {report.wakings:>9,}, {report.expelled} of them as members no longer",
        *(f"  note: {remark}" for remark in report.remarks),
    ]
    if report.stuck:
        lines.append(f"  STUCK: {report.stuck}")
    if report.violations:
        lines += [f"  VIOLATION: {sentence}" for sentence in report.violations]
    else:
        lines.append(
            "  stored ids = accepted ids; sums kept = sums rebuilt = sums sent, to the token; all accounted for"
        )
    return "\n".join(lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one run for each")
    parser.add_argument("--faults", type=int, default=FAULTS, help=f"faults a run (default {FAULTS})")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin no new round after so many minutes")
    parser.add_argument(
        "--sink", default="streams.sink:Sink", help="MODULE:CLASS; one of tests.faults.sinks is a planted defect"
    )
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="only kinds of faults with one of these in their name"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the run's directory: logs, Kafka's and PostgreSQL's data; one that got stuck is kept anyway",
    )
    asked = parser.parse_args()
    kinds = tuple(kind for kind in KINDS if any(text in kind.name for text in asked.only))
    if not kinds:
        parser.error(f"--only {asked.only!r} is part of no kind's name: {', '.join(kind.name for kind in KINDS)}")
    worst = 0
    for seed in asked.seed:
        directory = Path(tempfile.mkdtemp(prefix=f"jangbu-faults-{seed}-"))
        report: Report | None = None
        try:
            report = run(directory, seed, asked.faults, minutes=asked.minutes, sink=asked.sink, kinds=kinds)
        finally:
            if asked.keep or (report is not None and report.stuck):
                sys.stderr.write(f"\nkept: {directory}\n")
            else:
                shutil.rmtree(directory, ignore_errors=True)
        sys.stdout.write(f"\n{table(report)}\n")
        worst = max(worst, report.exit_code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
