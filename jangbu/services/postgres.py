"""The embedded PostgreSQL as a running server: start, stop, kill, the addresses of its four logins."""

import contextlib
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jangbu.errors import SettingsError
from jangbu.services import ports, postgres_cluster, private_files, processes

if TYPE_CHECKING:
    import subprocess

# Fast shutdown (connections end, a checkpoint is written), then immediate (crash recovery at the next start);
# both are safe. postgres(1).
STOP_ESCALATION = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 3.0))
# What the kernel sends when our process dies.
PARENT_DEATH_SIGNAL = signal.SIGINT
LOG_BYTES_MAX = 20 * 1024 * 1024
START_TRIES = 20
START_RETRY_S = 0.5
PID_FILE_PID, PID_FILE_STATUS = 0, 7


@dataclass(frozen=True)
class DatabaseUrls:
    """Addresses by role, for libpq and psycopg (``postgresql://user:password@host:port/database``)."""

    owner: str
    worker: str
    billing: str
    reader: str

    def as_dict(self) -> dict[str, str]:
        """By role name."""
        return asdict(self)


class EmbeddedPostgres:
    """One server on a cluster of its own in ``directory``; it dies with this process.

    Args:
        directory: PGDATA; made if missing.
        private: where its passwords and its log stand (mode 0700).
        durable: False for throw-away clusters of tests: no fsync.
    """

    def __init__(self, directory: Path, private: Path, *, durable: bool = True) -> None:
        self.directory = directory.resolve()
        self.private = private.resolve()
        self._durable = durable
        self._port: int | None = None
        self._passwords: dict[str, str] = {}
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float | None = 60.0, abandoned: Callable[[], bool] = lambda: False) -> Self:
        """Start the server and return when it takes connections. A second start uses the same port.

        Args:
            timeout_s: None waits as long as the server lives (a long crash recovery).
            abandoned: asked while waiting; True ends the wait, and the server is stopped.

        Raises:
            SettingsError: it cannot start; the end of its log is given.
        """
        if self.is_running():
            return self
        stop_leftover(self.directory)
        cluster = postgres_cluster.prepare(self.directory, self.private, durable=self._durable)
        self._port = self._port or ports.free_port()
        postgres_cluster.write_configuration(cluster, self._port, durable=self._durable)
        self._passwords = postgres_cluster.ensure_logins(cluster)
        self._spawn(cluster)
        deadline_s = float("inf") if timeout_s is None else timeout_s
        left = False

        def decided() -> bool:
            nonlocal left
            left = not self._ready() and abandoned()
            return left or self._ready() or not self.is_running()

        processes.wait_until(decided, deadline_s)
        if left:
            self.stop()
        elif not self._ready():
            self.kill()
            raise SettingsError(f"the embedded PostgreSQL in {self.directory} does not start; {self._log_end()}")
        return self

    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the server (postmaster)."""
        return self._child.pid if self._child is not None and self.is_running() else None

    @property
    def port(self) -> int:
        """On loopback."""
        if self._port is None:
            raise RuntimeError("start() first")
        return self._port

    @property
    def urls(self) -> DatabaseUrls:
        """Addresses of the four logins in database ``jangbu``."""
        return self.urls_of(postgres_cluster.DATABASE)

    def urls_of(self, database: str) -> DatabaseUrls:
        """Addresses of the four logins in another database of this server."""
        logins = (postgres_cluster.OWNER, *postgres_cluster.ROLE_LOGINS.values())
        place = f"{ports.LOOPBACK}:{self.port}/{database}"
        return DatabaseUrls(*(f"postgresql://{login}:{self._passwords[login]}@{place}" for login in logins))

    def stop(self) -> None:
        """Fast shutdown, then immediate; within 12 seconds."""
        if self._child is not None:
            processes.stop(self._child, STOP_ESCALATION)
            self._child = None

    def kill(self) -> None:
        """SIGKILL to the server: crash recovery at the next start. Its backends see it and end by themselves."""
        if self._child is not None:
            processes.stop(self._child, ())
            self._child = None

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) and start again on the same port."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def log_file(self) -> Path:
        """What the server says."""
        return self.private / "postgres.log"

    def _spawn(self, cluster: postgres_cluster.Cluster) -> None:
        """Start the server; after a kill its last backends may still hold the shared memory, so try again."""
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES_MAX:
            self.log_file.replace(self.log_file.with_suffix(".log.old"))
        argv = [str(cluster.binaries / "postgres"), "-D", str(self.directory)]
        for _ in range(START_TRIES):
            with self.log_file.open("ab") as log:
                private_files.give_to_owner_of(self.log_file, self.private)
                began_at = log.tell()
                self._child = processes.spawn(
                    argv,
                    parent_death_signal=PARENT_DEATH_SIGNAL,
                    user=cluster.account,
                    cwd=self.directory,
                    environment=postgres_cluster.environment(),
                    log=log,
                )
            if processes.wait_until(lambda: not self.is_running() or self._pid_file_is_ours(), START_RETRY_S * 20):
                if self.is_running():
                    return
                if b"shared memory block" not in self.log_file.read_bytes()[began_at:]:
                    return
            processes.wait_until(lambda: False, START_RETRY_S)

    def _pid_file_is_ours(self) -> bool:
        lines = _pid_file_lines(self.directory)
        return self._child is not None and lines[:1] == [str(self._child.pid)]

    def _ready(self) -> bool:
        """The server writes `ready` into its pid file when it takes connections (miscinit.c, AddToDataDirLockFile)."""
        lines = _pid_file_lines(self.directory)
        return (
            self.is_running()
            and self._pid_file_is_ours()
            and len(lines) > PID_FILE_STATUS
            and lines[PID_FILE_STATUS].strip() == "ready"
        )

    def _log_end(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"its log {self.log_file} ends with: " + " | ".join(lines[-6:])


def stop_leftover(directory: Path) -> None:
    """End a server on this cluster whose keeper is gone, and clear a pid file that names something else."""
    lines = _pid_file_lines(directory)
    if not lines or not lines[PID_FILE_PID].strip().isdigit():
        return
    pid = int(lines[PID_FILE_PID])
    known = processes.identity(pid)
    if known is not None and _serves(pid, directory):
        processes.stop_pid(pid, known, STOP_ESCALATION)
    elif known is not None:
        # The number went to another program, which PostgreSQL would take for a living server.
        with contextlib.suppress(OSError):
            (directory / "postmaster.pid").unlink()


def _serves(pid: int, directory: Path) -> bool:
    """Whether process ``pid`` is a PostgreSQL server on ``directory``."""
    argv_file = Path(f"/proc/{pid}/cmdline")
    if argv_file.exists():
        with contextlib.suppress(OSError):
            words = argv_file.read_bytes().split(b"\0")
            return words[0].endswith(b"postgres") and str(directory).encode() in words
        return False
    import psutil

    with contextlib.suppress(psutil.Error):
        return str(directory) in psutil.Process(pid).cmdline()
    return False


def _pid_file_lines(directory: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return (directory / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    return []
