"""The health check of a worker's container: what it reads in /proc and what it says. No engine is needed."""

from __future__ import annotations

import importlib.util
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


def test_a_connected_worker_is_healthy() -> None:
    """Established connections to both, of either address family."""
    assert health.complaint(SETTINGS, [table((19092, "01")), table((5432, "01"))], AWAKE) is None


@pytest.mark.parametrize(
    ("connections", "service"),
    [
        ([(5432, "01")], "Kafka (port 19092)"),
        ([(19092, "01")], "PostgreSQL (port 5432)"),
        ([(19092, "02"), (5432, "01")], "Kafka (port 19092)"),  # SYN_SENT: nobody has answered
        ([(19092, "01"), (5432, "08")], "PostgreSQL (port 5432)"),  # CLOSE_WAIT: the server is gone
        ([], "Kafka (port 19092)"),
    ],
)
def test_a_lost_service_is_named(connections: list[tuple[int, str]], service: str) -> None:
    """Only an established connection counts."""
    assert f"no connection to {service}" in health.complaint(SETTINGS, [table(*connections)], AWAKE)


@pytest.mark.parametrize(("state", "word"), [("T", "stopped"), ("t", "tracer"), ("Z", "dead")])
def test_a_worker_that_does_not_run_is_not_healthy(state: str, word: str) -> None:
    """A stopped process keeps its connections; its name may hold a bracket."""
    stat = AWAKE.replace(") S ", f") {state} ")
    assert word in health.complaint(SETTINGS, [table((19092, "01"), (5432, "01"))], stat)


def test_ports_come_from_the_settings() -> None:
    """Several brokers: one is enough. No port: the service's own. Not set: embedded, not asked for."""
    settings = {"JANGBU_KAFKA_BOOTSTRAP": "a:9092, b:9093,[::1]:9094", "JANGBU_DATABASE_URL": "postgresql://u:p@h/jangbu"}
    assert health.wanted_ports(settings) == {"Kafka": {9092, 9093, 9094}, "PostgreSQL": {5432}}
    assert health.complaint(settings, [table((9093, "01"), (5432, "01"))], AWAKE) is None
    assert health.wanted_ports({}) == {}
