"""Demo data for an empty installation: a small month of the invented city, through the real path, in the background.

A process of ours makes the files and calls `jangbu` commands with the settings of the web server that started it, the
way a house would: prices, rates, vendors, roster, `ingest` into the outbox, and waits until sums have caught up. Where
it is stands in DATA_DIR/demo/progress.json. It ends when the server ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jangbu.demo import gateway
from jangbu.demo.city import month_calls
from jangbu.demo.people import Plan, make_city
from jangbu.demo.reference_files import PRICES, RATES, ROSTER, VENDORS, write_reference_files
from jangbu.demo.run import last_month
from jangbu.demo.running import clean_environment
from jangbu.services import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jangbu.context import Context
    from jangbu.settings import Settings

USERS: Final = 300
EVENTS: Final = 4_000
SEED: Final = 7
LOOK_EVERY_S: Final = 0.2
WAIT_S: Final = 300
EXIT_WORK_LEFT: Final = 6
STEPS: Final = ("files", "prices", "rates", "vendors", "roster", "events", "sums")


def directory_of(settings: Settings) -> Path:
    """Where the files of the demo and its progress stand."""
    return settings.data_dir / "demo"


def read_progress(settings: Settings) -> dict[str, Any] | None:
    """Where the demo data is: `state` is running, done or failed; None where it was never asked for. A process that
    ended without a word has failed."""
    try:
        found: dict[str, Any] = json.loads((directory_of(settings) / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if found["state"] == "running" and not processes.is_alive(found["pid"], found["identity"]):
        found |= {"state": "failed", "problem": "the process that brought demo data was stopped"}
    return found


def start(context: Context) -> None:
    """Start bringing demo data, in a process that ends with this one. The caller has seen that nothing is there."""
    directory = directory_of(context.settings)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "log").open("ab") as log:
        pid = processes.spawn_detached(
            [sys.executable, "-P", "-m", "jangbu.demo.filling", str(directory), str(os.getpid()),
             *context.settings_arguments],
            log=log, environment=environment_of(context),
        )  # fmt: skip
    _write(directory, pid, "running", STEPS[0])


def environment_of(context: Context) -> Mapping[str, str]:
    """What commands of the demo find around them: the server's settings."""
    return {**clean_environment(), **context.environ, "JANGBU_DATA_DIR": str(context.settings.data_dir)}


def _write(directory: Path, pid: int, state: str, step: str, problem: str | None = None) -> None:
    """The progress, whole at any moment."""
    told = {"state": state, "step": step, "number": STEPS.index(step) + 1, "steps": len(STEPS), "problem": problem,
            "pid": pid, "identity": processes.identity(pid), "at": datetime.now(UTC).isoformat()}  # fmt: skip
    fresh = directory / f"progress.{os.getpid()}"
    fresh.write_text(json.dumps(told), encoding="utf-8")
    fresh.replace(directory / "progress.json")


class _Failed(Exception):
    """A step did not work; the sentence says which and why."""


def main(arguments: Sequence[str]) -> int:
    """Fill. `arguments`: the demo's directory, the server's process, its settings on the command line."""
    directory, server = Path(arguments[0]), int(arguments[1])
    lock = (directory / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0  # Somebody pressed twice.
    with lock:
        commands = _Commands(arguments[2:], server, directory)
        step = STEPS[0]
        try:
            for step, words in _steps(directory):
                _write(directory, os.getpid(), "running", step)
                commands.run(words)
        except (_Failed, OSError) as error:
            _write(directory, os.getpid(), "failed", step, str(error))
            return 1
        _write(directory, os.getpid(), "done", STEPS[-1])
    return 0


def _steps(directory: Path) -> list[tuple[str, Sequence[str]]]:
    """Make the files; then each command with the step it belongs to."""
    plan = Plan(last_month(datetime.now(UTC)), USERS, EVENTS, SEED)
    city = make_city(plan)
    gateway.hand_over((call for call in month_calls(plan, city) if call.via_gateway), directory, plan.seed)
    write_reference_files(directory, city, plan.month, plan.seed)
    brought = [
        ("events", ("ingest", str(directory / one.name), "--format", one.format,
                    *(() if one.source is None else ("--source", one.source))))
        for one in gateway.HANDOVERS
    ]  # fmt: skip
    return [
        ("prices", ("price", "seed", "--yes")),
        ("prices", ("price", "import", str(directory / PRICES), "--yes")),
        ("rates", ("fx", "import", str(directory / RATES), "--yes")),
        ("vendors", ("vendor", "import", str(directory / VENDORS), "--yes")),
        ("roster", ("roster", "import", str(directory / ROSTER), "--yes")),
        *brought,
        ("sums", ("wait", "--caught-up", "--timeout", str(WAIT_S))),
    ]


class _Commands:
    """Runs `jangbu` commands with the server's settings, as long as the server is there."""

    def __init__(self, settings: Sequence[str], server: int, directory: Path) -> None:
        self._settings, self._server, self._directory = settings, server, directory
        self._identity = processes.identity(server)

    def run(self, words: Sequence[str]) -> None:
        """Run one. Raises _Failed with what it said last."""
        said = self._directory / "answer"
        with said.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-P", "-m", "jangbu", *words, *self._settings],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # fmt: skip
            while process.poll() is None:
                if not processes.is_alive(self._server, self._identity):
                    process.terminate()
                    process.wait()
                    raise _Failed("the server was stopped before the demo data was whole")
                time.sleep(LOOK_EVERY_S)
        if process.returncode == EXIT_WORK_LEFT:
            raise _Failed("no worker has read all of the events yet: they wait for `jangbu up` or a worker")
        if process.returncode != 0:
            last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise _Failed(f"`jangbu {' '.join(words[:2])}` ended with exit code {process.returncode}: {''.join(last)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
