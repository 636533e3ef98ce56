"""The keeper: a small process that runs one service and ends it when nobody uses it any more.

Run as ``python -m jangbu.services.keeper postgres|kafka DATA_DIR``, detached, by the first who needs the service.
It belongs to nobody, so that the service outlives the command that started it while others use it. It looks at
``services.json`` several times a second; a member that was killed counts as gone as soon as its process is. If the
keeper itself is killed, the kernel signals the service (see ``tether``).
"""

import os
import signal
import sys
import time
from pathlib import Path

from jangbu.errors import JangbuError
from jangbu.services.broker import EmbeddedBroker
from jangbu.services.postgres import EmbeddedPostgres
from jangbu.services.state import ServiceEntry, ServiceName, ServiceState, State, StateFile, entry_of, is_needed

LOOK_INTERVAL_S = 0.15
# A PostgreSQL that dies is started again, but not for ever.
RESTARTS_MAX = 5


class Keeper:
    """Runs ``service`` for the data directory until nobody needs it."""

    def __init__(self, service: ServiceName, data_directory: Path) -> None:
        self.service: ServiceName = service
        self.file = StateFile(data_directory / "run")
        self._stopping = False
        private = self.file.run_directory
        self._server: EmbeddedPostgres | EmbeddedBroker = (
            EmbeddedPostgres(data_directory / "postgres", private)
            if service == "postgres"
            else EmbeddedBroker(private)
        )

    def run(self) -> int:
        """The whole life; returns the exit code."""
        signal.signal(signal.SIGTERM, self._on_signal)
        try:
            self._start()
            self._watch()
        except (JangbuError, OSError) as error:
            self._say(str(error))
            self._server.stop()
            self._write_state("failed", str(error))
            return 1
        self._server.stop()
        self._remove()
        return 0

    def _watch(self) -> None:
        """Return when nobody needs the service; a PostgreSQL that dies is started again on its port."""
        restarts = 0
        while not self._nobody_left():
            time.sleep(LOOK_INTERVAL_S)
            if self._server.is_running():
                continue
            restarts += 1
            if self.service == "kafka" or restarts > RESTARTS_MAX:
                # What a memory-only broker held is gone: its users must see that and join anew.
                raise JangbuError(f"the embedded {self.service} died: see its log in {self.file.run_directory}")
            self._say(f"{self.service} died, starting it again")
            self._start()

    def _start(self) -> None:
        if not self._write_state("starting"):
            # Who started us died before writing us down, or another keeper has it: touch nothing.
            self._stopping = True
            return
        if isinstance(self._server, EmbeddedPostgres):
            # A long crash recovery may outlast those who wait for it.
            self._server.start(timeout_s=None, abandoned=self._nobody_left)
        else:
            self._server.start()
        if not self._stopping:
            self._write_ready()

    def _write_ready(self) -> None:
        with self.file.locked() as state:
            entry = self._own_entry(state)
            if entry is None:
                return
            entry["state"] = "ready"
            entry["pid"] = self._server.pid
            if isinstance(self._server, EmbeddedPostgres):
                entry["urls"] = self._server.urls.as_dict()
            else:
                entry["bootstrap"] = self._server.bootstrap
                entry["incarnation"] = self._server.incarnation

    def _write_state(self, word: ServiceState, error: str = "") -> bool:
        """Write our state down; False where our entry is no longer there."""
        with self.file.locked() as state:
            entry = self._own_entry(state)
            if entry is None:
                return False
            entry["state"] = word
            if error:
                entry["error"] = error
            return True

    def _nobody_left(self) -> bool:
        """Whether to end; decided under the lock, so that nobody joins what is about to stop."""
        if not self._stopping and is_needed(self.file.read(), self.service):
            return False
        with self.file.locked() as state:
            entry = self._own_entry(state)
            if entry is not None and not self._stopping and is_needed(state, self.service):
                return False
            if entry is not None:
                entry["state"] = "stopping"
        self._stopping = True
        return True

    def _remove(self) -> None:
        with self.file.locked() as state:
            if self._own_entry(state) is not None:
                del state["services"][self.service]

    def _own_entry(self, state: State) -> ServiceEntry | None:
        """Our entry, or None where the file was lost or another keeper took over."""
        entry = state["services"].get(self.service)
        return entry if entry is not None and entry["keeper"] == entry_of(os.getpid()) else None

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _say(self, sentence: str) -> None:
        sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} keeper: {sentence}\n")
        sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """``postgres|kafka DATA_DIR``."""
    name, directory = arguments
    if name not in ("postgres", "kafka"):
        raise ValueError(f"no such service: {name}")
    service: ServiceName = "postgres" if name == "postgres" else "kafka"
    return Keeper(service, Path(directory)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
