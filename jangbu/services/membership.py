"""Joining: a command says what it needs, gets the addresses, and the last that leaves stops what was started.

PostgreSQL is started by whoever needs it first; the broker only by commands that feed and drain it themselves
(``start_broker``: `up`, `demo`), because a broker in memory without a publisher and a worker is no use to anybody.
"""

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from billing.sentences import Sentence
from jangbu.errors import RefusedByStateError, SettingsError
from jangbu.services import private_files, processes
from jangbu.services.state import (
    SERVICE_NAMES,
    MemberEntry,
    ProcessEntry,
    ServiceEntry,
    ServiceName,
    State,
    StateFile,
    UpEntry,
    entry_of,
    is_needed,
    lives,
)
from jangbu.settings import Settings

JOIN_TIMEOUT_S = 60.0
LEAVE_TIMEOUT_S = 15.0
LOOK_INTERVAL_S = 0.05


@dataclass(frozen=True)
class Endpoints:
    """Where the services are.

    Attributes:
        database_url: the owner's; the three roles' beside it. Empty where PostgreSQL was not asked for.
        kafka_bootstrap: None where no broker is set or runs.
        kafka_incarnation: of the embedded broker (also its cluster id); None for a Kafka of your own.
        embedded: which of them are ours.
    """

    database_url: str
    database_url_worker: str
    database_url_billing: str
    database_url_reader: str
    kafka_bootstrap: str | None
    kafka_incarnation: str | None
    embedded: frozenset[ServiceName]


@contextlib.contextmanager
def join(
    settings: Settings,
    need: Collection[str] = ("postgres",),
    *,
    start_broker: bool = False,
    exclusive: bool = False,
    prepares: bool = False,
    command: str | None = None,
    timeout_s: float = JOIN_TIMEOUT_S,
) -> Iterator[Endpoints]:
    """Use services until the block ends.

    Args:
        need: of "postgres" and "kafka".
        start_broker: start the embedded broker where none runs.
        exclusive: be the one supervisor of this data directory (`up`).
        prepares: (with ``exclusive``) others wait until `tell_prepared` says that schema and topic are there.
        command: our name in services.json, for people.
        timeout_s: how long to wait for what is starting.

    Raises:
        SettingsError: a service cannot be had; the sentence says what to do.
        RefusedByStateError: ``exclusive`` and another `up` runs here.
    """
    membership = _Membership(settings, need, command or " ".join(sys.argv[:2]), exclusive=exclusive,
                             prepares=prepares)  # fmt: skip
    membership.enter(start_broker=start_broker)
    try:
        membership.wait(time.monotonic() + timeout_s)
        yield membership.endpoints()
    finally:
        membership.leave()


def tell_prepared(settings: Settings) -> None:
    """Schema and topic of what this process supervises are there: whoever waited for them goes on."""
    with StateFile(settings.run_directory).locked() as state:
        if state["up"] is not None and state["up"]["pid"] == os.getpid():
            state["up"] = UpEntry(**entry_of(os.getpid()), prepares=False)


def running_incarnation(settings: Settings) -> str | None:
    """The embedded broker's incarnation now; another than at joining means that it lost everything and began anew."""
    entry = StateFile(settings.run_directory).read()["services"].get("kafka")
    if entry is None or entry["state"] != "ready" or not lives(entry["keeper"]):
        return None
    return entry["incarnation"]


def describe(settings: Settings) -> State:
    """What runs in this data directory now, dead processes left out (for `doctor`); nothing is made or changed."""
    state = StateFile(settings.run_directory).read()
    state["members"] = [member for member in state["members"] if lives(member)]
    state["services"] = {name: entry for name, entry in state["services"].items() if lives(entry["keeper"])}
    state["up"] = state["up"] if lives(state["up"]) else None
    return state


class _Membership:
    """One use of services by this process."""

    def __init__(self, settings: Settings, need: Collection[str], command: str, *, exclusive: bool,
                 prepares: bool) -> None:  # fmt: skip
        unknown = set(need) - set(SERVICE_NAMES)
        if unknown:
            raise ValueError(f"no such services: {sorted(unknown)}")
        self._settings = settings
        self._file = StateFile(settings.run_directory)
        ours = {"postgres": settings.embeds_postgres, "kafka": settings.embeds_kafka}
        self._embedded: list[ServiceName] = [name for name in SERVICE_NAMES if name in need and ours[name]]
        self._exclusive = exclusive
        self._prepares = prepares
        self._ready: dict[ServiceName, ServiceEntry] = {}
        self._me = MemberEntry(**entry_of(os.getpid()), id=uuid.uuid4().hex, command=command, needs=self._embedded)

    @property
    def _registers(self) -> bool:
        return bool(self._embedded) or self._exclusive

    def enter(self, *, start_broker: bool) -> None:
        """Write ourselves down and start what nobody runs, in one hold of the lock."""
        if not self._registers:
            return
        with self._file.locked() as state:
            if self._exclusive:
                self._claim(state)
            missing = [name for name in self._embedded if not _runs(state, name)]
            if "kafka" in missing and not start_broker:
                raise SettingsError(
                    Sentence(
                        "no broker runs in %(directory)s and JANGBU_KAFKA_BOOTSTRAP is not set: "
                        "start `jangbu up` there, or set JANGBU_KAFKA_BOOTSTRAP to your Kafka",
                        directory=self._settings.data_dir,
                    )
                )
            state["members"].append(self._me)
            for name in missing:
                state["services"][name] = self._spawn_keeper(name)

    def wait(self, deadline: float) -> None:
        """Return when all we need is ready."""
        for name in self._embedded:
            while (entry := self._look(name))["state"] != "ready":
                if entry["state"] == "failed":
                    raise SettingsError(entry.get("error") or f"the embedded {name} does not start")
                if time.monotonic() > deadline:
                    raise SettingsError(
                        f"the embedded {name} in {self._settings.data_dir} is not ready yet (it is {entry['state']}): "
                        f"see its log in {self._file.run_directory} and try again"
                    )
                time.sleep(LOOK_INTERVAL_S)
            self._ready[name] = entry
        self._wait_for_schema(deadline)

    def endpoints(self) -> Endpoints:
        """The addresses, set or embedded. A broker that runs is told even to those who did not ask for it."""
        settings = self._settings
        urls = self._ready["postgres"]["urls"] if "postgres" in self._ready else {}
        broker = self._ready.get("kafka") or describe(settings)["services"].get("kafka")
        if not settings.embeds_kafka or broker is None or broker["state"] != "ready":
            broker = None
        return Endpoints(
            database_url=urls.get("owner") or settings.database_url or "",
            database_url_worker=urls.get("worker") or settings.database_url_worker or "",
            database_url_billing=urls.get("billing") or settings.database_url_billing or "",
            database_url_reader=urls.get("reader") or settings.database_url_reader or "",
            kafka_bootstrap=broker["bootstrap"] if broker else settings.kafka_bootstrap,
            kafka_incarnation=broker["incarnation"] if broker else None,
            embedded=frozenset(self._embedded),
        )

    def leave(self) -> None:
        """Cross ourselves out; where we were the last, wait until the service has stopped."""
        if not self._registers:
            return
        with self._file.locked() as state:
            state["members"] = [member for member in state["members"] if member["id"] != self._me["id"]]
            if self._exclusive and state["up"] is not None and state["up"]["pid"] == os.getpid():
                state["up"] = None
            ending = {name: state["services"].get(name) for name in self._embedded if not is_needed(state, name)}
        for name, entry in ending.items():
            if entry is not None:
                self._wait_for_end(name, entry["keeper"])

    def _claim(self, state: State) -> None:
        """Be the supervisor here, or say who is."""
        if state["up"] is not None:
            raise RefusedByStateError(
                f"`jangbu up` already runs in {self._settings.data_dir} (process {state['up']['pid']}): "
                "stop it first, or give this one another --data-dir"
            )
        state["up"] = UpEntry(**entry_of(os.getpid()), prepares=self._prepares)

    def _wait_for_schema(self, deadline: float) -> None:
        """Return when an `up` that is starting here has made schema and topic; at once where there is none."""
        while self._embedded and not self._exclusive:
            supervisor = self._file.read()["up"]
            if supervisor is None or not supervisor.get("prepares") or not lives(supervisor):
                return
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"`jangbu up` in {self._settings.data_dir} (process {supervisor['pid']}) has not made its tables "
                    "yet: see what it says, and try again"
                )
            time.sleep(LOOK_INTERVAL_S)

    def _look(self, name: ServiceName) -> ServiceEntry:
        """The entry of a service we wait for; one that stopped before we came is started again."""
        entry = self._file.read()["services"].get(name)
        if entry is not None and (entry["state"] == "failed" or lives(entry["keeper"])):
            return entry
        with self._file.locked() as state:
            if name not in state["services"]:
                state["services"][name] = self._spawn_keeper(name)
            return state["services"][name]

    def _wait_for_end(self, name: ServiceName, keeper: ProcessEntry) -> None:
        """Return when the keeper has ended its service and itself, or somebody who came after us needs it."""
        processes.wait_until(lambda: not lives(keeper) or is_needed(self._file.read(), name), LEAVE_TIMEOUT_S)

    def _spawn_keeper(self, name: ServiceName) -> ServiceEntry:
        """Start the process that will run the service."""
        log_file = self._file.run_directory / f"keeper-{name}.log"
        argv = [sys.executable, "-m", "jangbu.services.keeper", name, str(self._settings.data_dir)]
        with log_file.open("ab") as log:
            private_files.give_to_owner_of(log_file, self._file.run_directory)
            pid = processes.spawn_detached(argv, log=log, environment=_keeper_environment())
        return ServiceEntry(state="starting", keeper=entry_of(pid))


def _runs(state: State, name: ServiceName) -> bool:
    """Whether a living keeper has it. One that is stopping is waited for; a failed one is tried again."""
    entry = state["services"].get(name)
    return entry is not None and entry["state"] != "failed"


def _keeper_environment() -> dict[str, str]:
    """The keeper must find this very package wherever it was started from."""
    package_parent = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": package_parent + (os.pathsep + known if known else "")}
