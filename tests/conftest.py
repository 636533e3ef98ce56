"""Fixtures of every test: Apache Kafka and PostgreSQL once a session, an empty database a test.

A test that needs a service which cannot be had here is skipped with the reason; with ``REQUIRE_SERVICES=1``, as in
CI, every skip is a failure.
"""

import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parents[1]
if str(CHECKOUT) not in sys.path:
    sys.path.insert(0, str(CHECKOUT))

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres
    from tests.services.apache_kafka import ApacheKafka

MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - a directory of this session's own is made there
MEMORY_FREE_BYTES_MIN = 6 << 30
"""A session's server writes up to about 1 GB, mostly its log of changes; the rest is for who else is here."""
REQUIRE_VARIABLE = "REQUIRE_SERVICES"
SERVICE_MARKS = {
    "kafka": "kafka",
    "postgres_server": "postgres",
}


def pytest_configure(config: pytest.Config) -> None:
    """No setting of the developer's shell reaches a test; warnings of others that we cannot mend are let pass."""
    # kafka-python 3.0 reads its schemas by a function that Python 3.11 deprecated and 3.13 took back.
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    for name in [name for name in os.environ if name.startswith("JANGBU_")]:
        del os.environ[name]
    # No test asserts absolute times: Hypothesis' 200 ms an example do not hold on a busy machine.
    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses a service's fixture carries its mark, so that ``-m "not kafka"`` needs no list."""
    for item in items:
        for fixture, mark in SERVICE_MARKS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_SERVICES=1 a skip is a failure that tells the skip's reason."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(REQUIRE_VARIABLE) == "1":
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_VARIABLE}=1 and this test would be skipped: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if report.outcome == "skipped" and os.environ.get(REQUIRE_VARIABLE) == "1":
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_VARIABLE}=1 and this module would be skipped: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or a module skipped: pytest keeps (file, line, reason)."""
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ApacheKafka]":
    """Apache Kafka itself, running, at ``kafka.bootstrap``; name topics by test, they stay."""
    from tests.services.apache_kafka import ApacheKafka, KafkaUnavailableError

    broker = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
    yield broker
    broker.stop()


def _directory_in_memory() -> str | None:
    """Where files stand in memory, if it has room for several sessions; None: where temporary files always stand."""
    import psutil

    has_room = MEMORY_FILES.is_dir() and os.access(MEMORY_FILES, os.W_OK)
    free = min(shutil.disk_usage(MEMORY_FILES).free, psutil.virtual_memory().available) if has_room else 0
    return str(MEMORY_FILES) if free >= MEMORY_FREE_BYTES_MIN else None


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[EmbeddedPostgres]":
    """The embedded PostgreSQL, running, without fsync; make databases of your own, or take ``database``.

    It stands outside pytest's directory: every session of pytest that starts as root shuts that to other users, and
    PostgreSQL runs as one. Where there is room it stands in memory: a database of hundreds of files is made for a
    fifth of what it costs on a disk, and a killed server finds its files again all the same.
    """
    from jangbu.errors import SettingsError
    from jangbu.services.postgres import EmbeddedPostgres

    directory = _directory_in_memory()
    with tempfile.TemporaryDirectory(prefix="jangbu-test-", dir=directory, ignore_cleanup_errors=True) as name:
        server = EmbeddedPostgres(Path(name) / "cluster", Path(name) / "run", durable=False)
        try:
            server.start()
        except SettingsError as error:
            pytest.skip(str(error))
        yield server
        server.stop()


def _drop(server: "EmbeddedPostgres", name: str) -> None:
    """Drop a database. An autovacuum worker that is in it may not be ended by an owner who is no superuser: wait."""
    import psycopg

    for tries_left in range(100, -1, -1):
        try:
            with psycopg.connect(server.urls.owner, autocommit=True) as connection:
                connection.execute(f"drop database {name} with (force)")
        except psycopg.errors.InsufficientPrivilege:
            if not tries_left:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def database(postgres_server: "EmbeddedPostgres") -> "Iterator[DatabaseUrls]":
    """A fresh, empty database: addresses of its owner and of the three roles' logins."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield postgres_server.urls_of(name)
    if not postgres_server.is_running():
        postgres_server.start()
    _drop(postgres_server, name)


@pytest.fixture(scope="session")
def _migrated_template(postgres_server: "EmbeddedPostgres") -> str:
    """A database with every migration applied, once a session: copies of it are cheap."""
    import psycopg

    from jangbu.migrate import migrate_database

    name = f"template_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    migrate_database(postgres_server.urls_of(name).owner)
    return name


@contextmanager
def _copied(postgres_server: "EmbeddedPostgres", template: str) -> "Iterator[DatabaseUrls]":
    """A copy of a database, dropped afterwards."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
    yield postgres_server.urls_of(name)
    if not postgres_server.is_running():
        postgres_server.start()
    _drop(postgres_server, name)


@pytest.fixture
def migrated_database(postgres_server: "EmbeddedPostgres", _migrated_template: str) -> "Iterator[DatabaseUrls]":
    """A fresh database with every migration applied and nothing in it."""
    with _copied(postgres_server, _migrated_template) as urls:
        yield urls


@pytest.fixture(scope="module")
def module_database(postgres_server: "EmbeddedPostgres", _migrated_template: str) -> "Iterator[DatabaseUrls]":
    """The same for all tests of a module: what one of them writes the next one finds."""
    with _copied(postgres_server, _migrated_template) as urls:
        yield urls
