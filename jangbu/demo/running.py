"""Running the product itself for the demo: `jangbu` as a user would call it, in the demo's data directory alone.

The commands run as processes of their own with no setting of the surroundings, so that a demo can never reach a
database or a broker of real use.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jangbu.demo.place import demo_settings
from jangbu.errors import JangbuError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from jangbu.demo.place import Place
    from jangbu.services import Endpoints
    from jangbu.settings import Settings

LOOK_EVERY_S = 0.1
START_TIMEOUT_S = 90.0
STOP_ESCALATION = ((signal.SIGTERM, 20.0),)
EXIT_OPEN_BREAKS = 6
EXIT_LAW = 7


class Commands:
    """Calls `jangbu` commands in a place; what they say to people goes to the place's log."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._environment = clean_environment()
        self._log = place.log / "commands.log"

    def json(self, *words: str, codes: Collection[int] = (0,), keep: str | None = None,
             while_waiting: Callable[[], None] = lambda: None) -> Any:
        """Run a command with --json and give its document; `keep` names a file of the outputs to hold it as well.

        Raises JangbuError where the command ends with a code that is not among `codes`.
        """
        argv = [*self._argv(*words), "--json"]
        answer = self._place.log / "answer.json"
        with self._log.open("a", encoding="utf-8") as log, answer.open("wb") as out:
            log.write(f"$ jangbu {' '.join(words)}\n")
            log.flush()
            began_at = log.tell()
            process = subprocess.Popen(argv, cwd=self._place.root, env=self._environment, stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=log)
            with _ended_with_us(process):
                while process.poll() is None:
                    while_waiting()
                    time.sleep(LOOK_EVERY_S)
        if process.returncode not in codes:
            raise JangbuError(f"`jangbu {words[0]}` of the demo ended with exit code {process.returncode}: "
                              f"{self._last_words(began_at)}; see {self._log}")
        raw = answer.read_bytes()
        answer.unlink()
        if keep is not None:
            (self._place.outputs / keep).write_bytes(raw)
        return json.loads(raw)

    @contextlib.contextmanager
    def up(self) -> Iterator[Callable[[], Endpoints]]:
        """`jangbu up`, started; call what this gives to wait for its addresses. Leaving the block ends everything."""
        from jangbu.services import join, processes

        settings = demo_settings(self._place)
        log_file = self._place.log / "up.log"
        with log_file.open("ab") as log:
            process = processes.spawn(self._argv("up"), cwd=self._place.root, environment=self._environment, log=log,
                                      parent_death_signal=signal.SIGTERM)
        try:
            with contextlib.ExitStack() as membership:

                def endpoints() -> Endpoints:
                    _wait_for_topic(settings, process, log_file)
                    return membership.enter_context(join(settings, {"postgres", "kafka"}, command="jangbu demo"))

                yield endpoints
        finally:
            processes.stop(process, STOP_ESCALATION)

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "jangbu", *words, "--data-dir", str(self._place.data)]

    def _last_words(self, began_at: int) -> str:
        said = self._log.read_bytes()[began_at:].decode("utf-8", "replace").strip().splitlines()
        return said[-1].removeprefix("jangbu: ") if said else "it said nothing"


def clean_environment() -> dict[str, str]:
    """Ours without any setting of jangbu; this very package is found whatever the working directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
    parent = str(Path(__file__).resolve().parents[2])
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, (parent, kept.get("PYTHONPATH")))), "PYTHONUTF8": "1"}


def _wait_for_topic(settings: Settings, process: subprocess.Popen[bytes], log_file: Path) -> None:
    """Return when `up` has made the topic, the last thing before its workers. Raises JangbuError where it ends."""
    from kafka.errors import KafkaError

    from jangbu.services import describe
    from producers.broker_access import BrokerAccess
    from producers.topic import TopicMissing, describe_log

    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            last = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise JangbuError(f"the demo's services did not start: {''.join(last)}; see {log_file}")
        broker = describe(settings)["services"].get("kafka")
        if broker is not None and broker["state"] == "ready":
            with contextlib.suppress(TopicMissing, KafkaError):
                describe_log(BrokerAccess(broker["bootstrap"]), settings.topic)
                return
        time.sleep(LOOK_EVERY_S)
    raise JangbuError(f"the demo's services did not start within {START_TIMEOUT_S:.0f} s: see {log_file}")


@contextlib.contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A command that is still running when we are interrupted is ended too."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
