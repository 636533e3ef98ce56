"""The health check of a worker's container: what it reads in /proc and what it says. No engine is needed."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "worker_health.py"
SETTINGS = {
    "JANGBU_KAFKA_BOOTSTRAP": "kafka:19092",
    "JANGBU_DATABASE_URL_WORKER": "postgresql://jangbu_worker_login:secret@postgres:5432/jangbu",
}
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
AWAKE = "1 (jangbu (worker)) S 0 1 1 0 -1"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("worker_health", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


health: Any = _load()


def table(*connections: tuple[int, str]) -> str:
    """Text of /proc/net/tcp with these (remote port, state) lines."""
    lines = (
        f"   {row}: 020012AC:{40000 + row:04X} 030012AC:{port:04X} {state} 00000000:00000000 00:00000000 00000000 1\n"
        for row, (port, state) in enumerate(connections)
    )
    return HEADER + "".join(lines)


def looked(settings: dict[str, str], *connections: tuple[int, str], stat: str = AWAKE, up: bool = False) -> str | None:
    """What the check says; ``up``: PostgreSQL takes connections."""
    found = health.complaint(settings, [table(*connections)], stat, lambda _address: up)
    assert found is None or isinstance(found, str)
    return found


def test_a_connected_worker_is_healthy() -> None:
    """Established connections to both, of either address family."""
    tables = [table((19092, "01")), table((5432, "01"))]
    assert health.complaint(SETTINGS, tables, AWAKE, lambda _address: pytest.fail("nobody need ask")) is None


@pytest.mark.parametrize(
    ("connections", "sentence"),
    [
        ([(5432, "01")], "no connection to Kafka (port 19092)"),
        ([(19092, "02"), (5432, "01")], "no connection to Kafka (port 19092)"),  # SYN_SENT: nobody has answered
        ([], "no connection to Kafka (port 19092)"),
        ([(19092, "01")], "PostgreSQL does not answer at postgres:5432"),
        ([(19092, "01"), (5432, "08")], "PostgreSQL does not answer at postgres:5432"),  # CLOSE_WAIT: the server went
    ],
)
def test_a_lost_service_is_named(connections: list[tuple[int, str]], sentence: str) -> None:
    """Only an established connection counts as one."""
    told = looked(SETTINGS, *connections)
    assert told is not None
    assert sentence in told


def test_an_idle_worker_may_be_without_a_connection_to_postgres() -> None:
    """After a restart of PostgreSQL it connects with its next chunk; a lost broker is not excused."""
    assert looked(SETTINGS, (19092, "01"), (5432, "08"), up=True) is None
    assert looked(SETTINGS, up=True) is not None


@pytest.mark.parametrize(("state", "word"), [("T", "stopped"), ("t", "tracer"), ("Z", "dead")])
def test_a_worker_that_does_not_run_is_not_healthy(state: str, word: str) -> None:
    """A stopped process keeps its connections; its name may hold a bracket."""
    told = looked(SETTINGS, (19092, "01"), (5432, "01"), stat=AWAKE.replace(") S ", f") {state} "), up=True)
    assert told is not None
    assert word in told


def test_addresses_come_from_the_settings() -> None:
    """Several brokers: one is enough. No port: the service's own. Not set: embedded, not asked for."""
    settings = {"JANGBU_KAFKA_BOOTSTRAP": "a:9092, b:9093,[::1]:9094", "JANGBU_DATABASE_URL": "postgresql://u:p@h/jangbu"}
    assert health.kafka_ports(settings) == {9092, 9093, 9094}
    assert health.database_address(settings) == ("h", 5432)
    assert looked(settings, (9093, "01"), (5432, "01")) is None
    assert health.kafka_ports({}) == set()
    assert health.database_address({"JANGBU_DATABASE_URL": "postgresql:///jangbu?host=/run/postgresql"}) is None
    assert looked({}) is None


def test_an_address_takes_connections_or_does_not() -> None:
    """A listening port does; the same port, closed, does not."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = listener.getsockname()
        assert health.takes_connections(address)
    assert not health.takes_connections(address)
