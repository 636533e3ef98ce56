"""``DATA_DIR/run/services.json``: what runs here, where, and who uses it. Read and written under a lock.

Every process is written down with its identity (start time and boot), so that a dead one, or another that got its
number, does not count. The file is replaced whole; a reader without the lock sees the old or the new one.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from jangbu.errors import SettingsError
from jangbu.services import private_files, processes

FILE_NAME = "services.json"
LOCK_NAME = "lock"
VERSION = 1

ServiceName = Literal["postgres", "kafka"]
ServiceState = Literal["starting", "ready", "stopping", "failed"]
SERVICE_NAMES: tuple[ServiceName, ...] = ("postgres", "kafka")


class ProcessEntry(TypedDict):
    """A process and what tells it from a later one of the same number."""

    pid: int
    identity: str | None


class UpEntry(ProcessEntry):
    """The supervisor. ``prepares``: it has not made schema and topic yet; others wait for it."""

    prepares: NotRequired[bool]


class ServiceEntry(TypedDict):
    """A service with its keeper, the process that runs it.

    ``urls`` (postgres: owner, worker, billing, reader), ``bootstrap`` and ``incarnation`` (kafka) stand there when
    the state is ready; ``error`` when it is failed.
    """

    state: ServiceState
    keeper: ProcessEntry
    pid: NotRequired[int | None]
    urls: NotRequired[dict[str, str]]
    bootstrap: NotRequired[str]
    incarnation: NotRequired[str]
    error: NotRequired[str]


class MemberEntry(ProcessEntry):
    """A command that uses services; ``id`` tells two uses by one process apart."""

    id: str
    command: str
    needs: list[ServiceName]


class State(TypedDict):
    """The whole file. ``up`` is the process that supervises here, if any."""

    version: int
    services: dict[ServiceName, ServiceEntry]
    members: list[MemberEntry]
    up: UpEntry | None


class StateFile:
    """The file and its lock, in one run directory (mode 0700)."""

    def __init__(self, run_directory: Path) -> None:
        self.run_directory = run_directory
        self.path = run_directory / FILE_NAME

    @contextlib.contextmanager
    def locked(self) -> Iterator[State]:
        """The state under the lock, dead processes left out; what you change in it is written at the end.

        Raises:
            SettingsError: the directory belongs to another user.
        """
        try:
            private_files.make_data_directory(self.run_directory.parent)
            private_files.make_private_directory(self.run_directory)
            handle = os.open(self.run_directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise SettingsError(
                f"the data directory {self.run_directory.parent} is not ours to write ({error.strerror}): "
                "run as its owner or choose another JANGBU_DATA_DIR"
            ) from error
        try:
            private_files.give_to_owner_of(self.run_directory, self.run_directory.parent)
            private_files.give_to_owner_of(self.run_directory / LOCK_NAME, self.run_directory)
            fcntl.flock(handle, fcntl.LOCK_EX)
            state = self.read()
            before = json.dumps(state)
            _prune(state)
            yield state
            if json.dumps(state) != before:
                private_files.write_private(self.path, json.dumps(state, indent=1) + "\n")
        finally:
            os.close(handle)

    def read(self) -> State:
        """The state as it was written last; an unreadable file counts as empty (its processes end by themselves)."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content: Any = json.loads(self.path.read_text(encoding="utf-8"))
            if content["version"] == VERSION:
                return State(
                    version=VERSION,
                    services=dict(content["services"]),
                    members=list(content["members"]),
                    up=content["up"],
                )
        return State(version=VERSION, services={}, members=[], up=None)


def entry_of(pid: int) -> ProcessEntry:
    """How process ``pid`` is written down."""
    return ProcessEntry(pid=pid, identity=processes.identity(pid))


def lives(entry: ProcessEntry | None) -> bool:
    """Whether the process that was written down still runs."""
    return entry is not None and processes.is_alive(entry["pid"], entry["identity"])


def is_needed(state: State, service: ServiceName) -> bool:
    """Whether a living member needs ``service``."""
    return any(service in member["needs"] and lives(member) for member in state["members"])


def _prune(state: State) -> None:
    """Leave out the dead. A failed service stays, so that who waits for it reads why."""
    state["members"] = [member for member in state["members"] if lives(member)]
    if not lives(state["up"]):
        state["up"] = None
    for name, service in list(state["services"].items()):
        if service["state"] != "failed" and not lives(service["keeper"]):
            del state["services"][name]
