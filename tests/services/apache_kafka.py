"""Apache Kafka itself, one process, KRaft, from Maven artifacts: for tests, benchmarks and `make services`.

One broker that is its own controller, replication factors 1, on two free loopback ports that it keeps over
restarts, as it keeps its data. Facts: Kafka 4.1 needs Java 17; the jars are 43 MB; it is up in about 3 seconds and
takes about 320 MB.
"""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jangbu.services import ports, processes

POM = Path(__file__).with_name("pom.xml")
CHECKOUT = Path(__file__).resolve().parents[2]
LIBS_DEFAULT = CHECKOUT / ".services" / "kafka-libs"
JAVA_VERSION_MIN = 17
LOCKED_HOST = "localhost"
LONG_RUN_OPTIONS = ("-XX:+UseG1GC",)
SHORT_RUN_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A broker that lives for a test is up after half of the work: what it would compile thoroughly it hardly uses."""
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
MAVEN_TIMEOUT_S = 300.0
# ApiVersions request (key 18), version 0, correlation id 7, client id "up?": the cheapest question a broker answers.
API_VERSIONS_REQUEST = struct.pack(">ihhih", 13, 18, 0, 7, 3) + b"up?"


@dataclass(frozen=True)
class LockedListener:
    """A listener that speaks TLS or asks for a password.

    name: capital letters, its own.
    protocol: `SSL`, `SASL_SSL` or `SASL_PLAINTEXT`.
    settings: its lines of server.properties, without the prefix that names it.
    scram_users: whom the storage knows from its beginning, as Kafka's `--add-scram` takes them.
    """

    name: str
    protocol: str
    settings: dict[str, str]
    scram_users: tuple[str, ...] = ()


class KafkaUnavailableError(RuntimeError):
    """Apache Kafka cannot be had or does not start here; the sentence says what to install or where to look."""


def fetch_libs(libs: Path = LIBS_DEFAULT) -> Path:
    """The directory with Kafka's jars, fetched by Maven once; several processes may ask at the same time.

    Raises:
        KafkaUnavailableError: no Java 17, no Maven, or Maven found no repository.
    """
    check_java()
    wanted = libs.with_name(f"{libs.name}-{_pom_digest()}")
    if not (wanted / "complete").exists():
        _fetch(wanted)
    return wanted


def check_java() -> str:
    """The path of a Java that can run Kafka 4."""
    java = shutil.which("java")
    remedy = f"install a Java runtime of version {JAVA_VERSION_MIN} or later (Debian: openjdk-17-jre-headless)"
    if java is None:
        raise KafkaUnavailableError(f"Apache Kafka needs Java and no `java` is on PATH: {remedy}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = told.split('"')[1] if '"' in told else "unknown"
    major = version.split(".")[0]
    if not major.isdigit() or int(major) < JAVA_VERSION_MIN:
        raise KafkaUnavailableError(f"Apache Kafka 4 needs Java {JAVA_VERSION_MIN}, {java} is {version}: {remedy}")
    return java


class ApacheKafka:
    """One broker in ``directory``: settings, data, log. Usable as a context manager.

    Args:
        directory: its own; made if missing. With data in it, ``start`` continues with them on the same ports.
        libs: the jars; fetched when not given.
        heap_mib: the Java heap. The page cache, not the heap, holds the log.
        overrides: further lines of server.properties, by name.
        locked: further listeners that ask who comes, each on a port of its own.
        detached: keep running when this process ends (`make services`); ``stop`` in a later process ends it.
        long_run: compiled as a server is that stays; for measurements and for people.
    """

    def __init__(
        self,
        directory: Path,
        libs: Path | None = None,
        *,
        heap_mib: int = 384,
        overrides: dict[str, str] | None = None,
        locked: Sequence[LockedListener] = (),
        detached: bool = False,
        long_run: bool = False,
    ) -> None:
        self.directory = directory
        self._libs = libs
        self._heap_mib = heap_mib
        self._overrides = overrides or {}
        self._locked = locked
        self._detached = detached
        self._options = LONG_RUN_OPTIONS if long_run else SHORT_RUN_OPTIONS
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"{ports.LOOPBACK}:{self._load()['client_port']}"

    def locked_bootstrap(self, name: str) -> str:
        """``host:port`` of a listener that asks who comes; by the host's name, which certificates hold."""
        return f"{LOCKED_HOST}:{self._load()['locked_ports'][name]}"

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        state = self._load()
        return state["pid"] if processes.is_alive(state["pid"], state["identity"]) else None

    def start(self) -> Self:
        """Format the storage on the first start, start the broker, return when it answers.

        Raises:
            KafkaUnavailableError: with the end of its log.
        """
        libs = self._libs or fetch_libs()
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._state_file.exists() and self.pid is not None:
            return self
        if not self._state_file.exists():
            self._prepare(libs)
        java = check_java()
        argv = [java, f"-Xmx{self._heap_mib}m", "-Xms128m", *self._options, *_logging_options()]
        argv += ["-cp", f"{libs}/*", "kafka.Kafka", str(self._properties_file)]
        with self.log_file.open("ab") as log:
            if self._detached:
                pid = processes.spawn_detached(argv, log=log)
            else:
                self._child = processes.spawn(argv, log=log, parent_death_signal=signal.SIGKILL)
                pid = self._child.pid
        self._save({**self._load(), "pid": pid, "identity": processes.identity(pid)})
        if not processes.wait_until(lambda: self._answers() or self.pid is None, START_TIMEOUT_S) or self.pid is None:
            self.kill()
            raise KafkaUnavailableError(f"Apache Kafka did not start in {START_TIMEOUT_S:.0f} s: {self._log_end()}")
        return self

    def stop(self) -> None:
        """Controlled shutdown (SIGTERM); SIGKILL after a while."""
        self._end(((signal.SIGTERM, STOP_TIMEOUT_S),))

    def kill(self) -> None:
        """SIGKILL: what a machine that loses power looks like to its clients."""
        self._end(())

    def pause(self) -> None:
        """SIGSTOP: the broker hangs; ``resume`` lets it go on."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) and start again with the same ports and data."""
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
        """What the broker says."""
        return self.directory / "kafka.log"

    @property
    def _properties_file(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _state_file(self) -> Path:
        return self.directory / "state.json"

    def _prepare(self, libs: Path) -> None:
        """Choose the ports, write the settings, format the storage."""
        client_port, controller_port, *others = ports.free_ports(2 + len(self._locked))
        locked_ports = {listener.name: port for listener, port in zip(self._locked, others, strict=True)}
        properties = self._settings(client_port, controller_port, locked_ports)
        self._properties_file.write_text(
            "".join(f"{name}={value}\n" for name, value in properties.items()), encoding="ascii"
        )
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        # An id that starts with a dash would be read as an option.
        cluster_id = cluster_id.replace("-", "A").replace("_", "B")
        argv = ["java", *_logging_options(), "-Xmx128m", "-cp", f"{libs}/*", "kafka.tools.StorageTool", "format"]
        argv += ["--standalone", "--ignore-formatted", "-t", cluster_id, "-c", str(self._properties_file)]
        argv += [word for listener in self._locked for user in listener.scram_users for word in ("--add-scram", user)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise KafkaUnavailableError(f"Kafka's storage cannot be formatted in {self.directory}: {done.stderr}")
        state = {"client_port": client_port, "controller_port": controller_port, "locked_ports": locked_ports}
        self._save({**state, "pid": 0, "identity": None})

    def _settings(self, client_port: int, controller_port: int, locked_ports: dict[str, int]) -> dict[str, str]:
        """server.properties: one node, nothing replicated, groups rebalance at once."""
        controller = f"{ports.LOOPBACK}:{controller_port}"
        open_to_all = [f"PLAINTEXT://{ports.LOOPBACK}:{client_port}", f"CONTROLLER://{controller}"]
        bound = [f"{name}://{ports.LOOPBACK}:{port}" for name, port in locked_ports.items()]
        told = [f"{name}://{LOCKED_HOST}:{port}" for name, port in locked_ports.items()]
        protocols = [f"{listener.name}:{listener.protocol}" for listener in self._locked]
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": ",".join(open_to_all + bound),
            "advertised.listeners": ",".join(open_to_all + told),
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": controller,
            "listener.security.protocol.map": ",".join(["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", *protocols]),
            "log.dirs": str(self.directory / "data"),
            "num.partitions": "1",
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # After SIGKILL the new process must wait until the old registration has expired (default 9 s).
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "300",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
            "log.retention.check.interval.ms": "1000",
            **{
                f"listener.name.{listener.name.lower()}.{name}": value
                for listener in self._locked
                for name, value in listener.settings.items()
            },
            **self._overrides,
        }

    def _answers(self) -> bool:
        """Whether the broker answers an ApiVersions request; the port is open a while before."""
        with contextlib.suppress(OSError), socket.create_connection(
            (ports.LOOPBACK, self._load()["client_port"]), timeout=2.0
        ) as connection:
            connection.sendall(API_VERSIONS_REQUEST)
            return len(connection.recv(8)) > 0
        return False

    def _end(self, escalation: tuple[tuple[int, float], ...]) -> None:
        if not self._state_file.exists():
            return
        state = self._load()
        if self._child is not None:
            processes.stop(self._child, escalation)
            self._child = None
        else:
            processes.stop_pid(state["pid"], state["identity"], escalation)
        self._save({**state, "pid": 0, "identity": None})

    def _signal(self, number: int) -> None:
        pid = self.pid
        if pid is None:
            raise KafkaUnavailableError(f"no broker runs in {self.directory}: call start() first")
        os.kill(pid, number)

    def _load(self) -> dict:  # type: ignore[type-arg]
        return json.loads(self._state_file.read_text(encoding="ascii"))  # type: ignore[no-any-return]

    def _save(self, state: dict[str, object]) -> None:
        self._state_file.write_text(json.dumps(state), encoding="ascii")

    def _log_end(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"{self.log_file} ends with: " + " | ".join(lines[-8:])


def _logging_options() -> list[str]:
    """slf4j-simple on standard error, with times, warnings and worse."""
    prefix = "-Dorg.slf4j.simpleLogger."
    return [f"{prefix}defaultLogLevel=warn", f"{prefix}showDateTime=true", f"{prefix}dateTimeFormat=HH:mm:ss.SSS"]


def _pom_digest() -> str:
    """So that another Kafka version is fetched beside the old one."""
    return hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


def _fetch(wanted: Path) -> None:
    """Copy the jars into a directory beside, then rename it: nobody ever sees half of them."""
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            "Apache Kafka's jars are fetched by Maven and no `mvn` is on PATH: install Maven (Debian: maven)"
        )
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=wanted.parent) as temporary:
        target = Path(temporary) / "libs"
        argv = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        argv.append(f"-DoutputDirectory={target}")
        began = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=MAVEN_TIMEOUT_S)
        if done.returncode != 0:
            raise KafkaUnavailableError(
                f"Maven could not fetch Kafka's jars in {time.monotonic() - began:.0f} s; "
                f"check its network and settings.xml. It says: {(done.stdout + done.stderr)[-1500:]}"
            )
        (target / "complete").touch()
        # Another process may have won; its directory is as good as ours.
        with contextlib.suppress(OSError):
            target.rename(wanted)
