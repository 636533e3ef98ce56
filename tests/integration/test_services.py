"""Embedded services: who starts them, who shares them, and that they end, whatever kills whom."""

import json
import os
import pwd
import select
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from jangbu.errors import RefusedByStateError, SettingsError
from jangbu.services import (
    describe,
    join,
    membership,
    postgres_cluster,
    processes,
    running_incarnation,
    state,
    tell_prepared,
)
from jangbu.services.broker import EmbeddedBroker, answers_kafka
from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres
from jangbu.settings import Settings, load

CHECKOUT = Path(__file__).resolve().parents[2]
# The promise of the contract: everything ends within 15 seconds.
END_S = 15.0
# A process that ended and whose number another one has now.
STALE = {"pid": os.getpid(), "identity": "another-boot/1"}


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An empty data directory; at the end nothing of it runs any more."""
    data = tmp_path / "data"
    yield load(flags={"data_dir": str(data)}, environ={}, cwd=tmp_path)
    left = _running_in(data)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], "processes were left behind"


class Joiner:
    """Another process that joins and stays until it is told to leave."""

    def __init__(self, settings: Settings, needs: str = "postgres", **options: bool) -> None:
        script = f"""
            import sys
            from pathlib import Path
            from jangbu.services import join
            from jangbu.settings import load
            settings = load(flags={{"data_dir": {str(settings.data_dir)!r}}}, environ={{}})
            with join(settings, {needs.split(",")!r}, **{options!r}) as endpoints:
                print(endpoints.database_url, endpoints.kafka_bootstrap, endpoints.kafka_incarnation, flush=True)
                sys.stdin.readline()
        """
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )

    def told(self) -> list[str]:
        """Address of the owner, bootstrap, incarnation: it has joined."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def leave(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


def test_a_command_alone_starts_postgresql_and_stops_it(settings: Settings) -> None:
    with join(settings, {"postgres"}, command="usage") as endpoints:
        assert _current_user(endpoints.database_url) == "jangbu_owner"
        assert _current_user(endpoints.database_url_worker) == "jangbu_worker_login"
        assert _current_user(endpoints.database_url_billing) == "jangbu_billing_login"
        assert _current_user(endpoints.database_url_reader) == "jangbu_reader_login"
        assert (endpoints.kafka_bootstrap, endpoints.kafka_incarnation) == (None, None)
        assert endpoints.embedded == {"postgres"}
        now = describe(settings)
        assert [member["command"] for member in now["members"]] == ["usage"]
        assert now["services"]["postgres"]["state"] == "ready"
        run = settings.run_directory
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert stat.S_IMODE((run / "services.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((run / "logins.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(settings.postgres_directory.stat().st_mode) == 0o700
    assert _running_in(settings.data_dir) == []
    assert describe(settings) == {"version": 1, "services": {}, "members": [], "up": None}


def test_each_role_login_has_its_role_and_the_owner_can_act_as_it(settings: Settings) -> None:
    with join(settings) as endpoints, psycopg.connect(endpoints.database_url, autocommit=True) as owner:
        for role, login in postgres_cluster.ROLE_LOGINS.items():
            assert owner.execute("select pg_has_role(%s, %s, 'member')", (login, role)).fetchone() == (True,)
            owner.execute(f"set role {role}")
            owner.execute("reset role")
        assert owner.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() == (False,)
        assert owner.execute("show synchronous_commit").fetchone() == ("on",)
        assert owner.execute("show fsync").fetchone() == ("on",)


def test_nobody_gets_in_without_a_password(settings: Settings) -> None:
    with join(settings) as endpoints:
        for url in (
            endpoints.database_url.replace("jangbu_owner:", "jangbu_owner:not-"),
            endpoints.database_url.replace("jangbu_owner:", "postgres:"),
        ):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(url)
        port = psycopg.conninfo.conninfo_to_dict(endpoints.database_url)["port"]
        with socket.create_connection(("127.0.0.1", int(str(port)))):
            pass
        listening = psycopg.connect(endpoints.database_url)
        with listening:
            assert listening.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        listening.close()


def test_two_share_and_the_last_stops(settings: Settings) -> None:
    first, second = Joiner(settings), Joiner(settings)
    address = first.told()
    assert second.told() == address
    first.leave()
    assert _current_user(address[0]) == "jangbu_owner"
    second.leave()
    assert _running_in(settings.data_dir) == []


def test_the_one_that_started_it_may_be_killed(settings: Settings) -> None:
    first = Joiner(settings)
    address = first.told()
    second = Joiner(settings)
    assert second.told() == address
    first.kill()
    assert _current_user(address[0]) == "jangbu_owner"
    second.kill()
    assert processes.wait_until(lambda: _running_in(settings.data_dir) == [], END_S)


def test_many_at_once_start_one(settings: Settings) -> None:
    joiners = [Joiner(settings) for _ in range(4)]
    assert len({joiner.told()[0] for joiner in joiners}) == 1
    for joiner in joiners:
        joiner.leave()


def test_killed_keeper_takes_its_service_along_and_the_next_starts_anew(settings: Settings) -> None:
    joiner = Joiner(settings)
    joiner.told()
    entry = describe(settings)["services"]["postgres"]
    os.kill(entry["keeper"]["pid"], signal.SIGKILL)
    server = entry["pid"]
    assert server is not None
    assert processes.wait_until(lambda: processes.identity(server) is None, END_S)
    joiner.kill()
    with join(settings) as endpoints:
        assert _current_user(endpoints.database_url) == "jangbu_owner"


def test_a_server_that_outlived_its_keeper_is_taken_down_first(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with EmbeddedPostgres(settings.postgres_directory, settings.run_directory) as orphan:
        before = orphan.pid
        with join(settings) as endpoints:
            assert _current_user(endpoints.database_url) == "jangbu_owner"
            after = describe(settings)["services"]["postgres"]["pid"]
            assert after != before
            assert not orphan.is_running()


def test_killed_postgresql_comes_back_on_its_port_with_what_was_committed(settings: Settings) -> None:
    with join(settings) as endpoints:
        with psycopg.connect(endpoints.database_url, autocommit=True) as owner:
            owner.execute("create table kept as select 7 as n")
        server = describe(settings)["services"]["postgres"]["pid"]
        assert server is not None
        os.kill(server, signal.SIGKILL)

        def back() -> bool:
            try:
                with psycopg.connect(endpoints.database_url) as again:
                    return again.execute("select n from kept").fetchone() == (7,)
            except psycopg.OperationalError:
                return False

        assert processes.wait_until(back, 30.0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not JSON",
        '{"version": 99}',
        json.dumps(
            {
                "version": 1,
                "services": {
                    "postgres": {
                        "state": "ready",
                        "keeper": STALE,
                        "pid": 1,
                        "urls": {"owner": "postgresql://nobody@127.0.0.1:1/none"},
                    }
                },
                "members": [
                    {**STALE, "id": "x", "command": "up", "needs": ["postgres"]},
                ],
                "up": STALE,
            }
        ),
    ],
    ids=["empty", "garbage", "other-version", "dead-processes-with-living-numbers"],
)
def test_stale_services_file_is_no_obstacle(settings: Settings, content: str) -> None:
    settings.run_directory.mkdir(parents=True)
    (settings.run_directory / "services.json").write_text(content, encoding="utf-8")
    assert describe(settings)["services"] == {}
    with join(settings, exclusive=True) as endpoints:
        assert _current_user(endpoints.database_url) == "jangbu_owner"


def test_second_up_is_refused_and_the_first_goes_on(settings: Settings) -> None:
    with join(settings, exclusive=True) as endpoints:
        with pytest.raises(RefusedByStateError, match=f"process {os.getpid()}"), join(settings, exclusive=True):
            pass
        assert _current_user(endpoints.database_url) == "jangbu_owner"
    with join(settings, exclusive=True):
        pass


def test_others_wait_until_up_has_made_its_tables(settings: Settings) -> None:
    """PostgreSQL answers before its tables are there: a command given right after `up` must not stumble over that."""
    with join(settings, exclusive=True, prepares=True):
        other = Joiner(settings)
        assert processes.wait_until(lambda: len(describe(settings)["members"]) == 2, 60)
        with pytest.raises(SettingsError, match="has not made its tables yet"), join(settings, timeout_s=0.3):
            pass
        assert other.process.stdout is not None
        assert select.select([other.process.stdout], [], [], 0)[0] == []
        tell_prepared(settings)
        assert other.told()
        other.leave()


def test_second_up_is_refused_where_all_services_are_your_own(tmp_path: Path) -> None:
    environ = {"JANGBU_DATABASE_URL": "postgresql://u@h/d", "JANGBU_KAFKA_BOOTSTRAP": "h:9092"}
    own = load(environ=environ, cwd=tmp_path)
    with join(own, {"postgres", "kafka"}, exclusive=True) as endpoints:
        assert (endpoints.database_url_reader, endpoints.kafka_bootstrap) == ("postgresql://u@h/d", "h:9092")
        assert endpoints.embedded == frozenset()
        with pytest.raises(RefusedByStateError), join(own, {"postgres"}, exclusive=True):
            pass


def test_addresses_of_your_own_start_and_write_nothing(tmp_path: Path) -> None:
    environ = {"JANGBU_DATABASE_URL": "postgresql://u@h/d", "JANGBU_KAFKA_BOOTSTRAP": "h:9092"}
    own = load(environ=environ, cwd=tmp_path)
    with join(own, {"postgres", "kafka"}, start_broker=True) as endpoints:
        assert endpoints.database_url == "postgresql://u@h/d"
        assert endpoints.kafka_incarnation is None
    assert list(tmp_path.iterdir()) == []


def test_broker_needs_a_supervisor(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="start `jangbu up`"), join(settings, {"postgres", "kafka"}):
        pass
    assert describe(settings)["members"] == []


def test_broker_is_shared_and_each_start_is_another_incarnation(settings: Settings) -> None:
    seen = set()
    for _ in range(2):
        with join(settings, {"kafka"}, start_broker=True) as endpoints:
            assert endpoints.kafka_bootstrap is not None
            host, _, port = endpoints.kafka_bootstrap.partition(":")
            assert answers_kafka(host, int(port))
            assert running_incarnation(settings) == endpoints.kafka_incarnation
            with join(settings, {"kafka"}) as second:
                assert second == endpoints
            seen.add(endpoints.kafka_incarnation)
        assert running_incarnation(settings) is None
    assert len(seen) == 2
    assert None not in seen


def test_dead_broker_is_noticed_and_not_replaced_in_silence(settings: Settings) -> None:
    with join(settings, {"kafka"}, start_broker=True) as endpoints:
        server = describe(settings)["services"]["kafka"]["pid"]
        assert server is not None
        os.kill(server, signal.SIGKILL)
        assert processes.wait_until(lambda: running_incarnation(settings) is None, END_S)
        with join(settings, {"kafka"}, start_broker=True) as again:
            assert again.kafka_incarnation not in (None, endpoints.kafka_incarnation)


def test_killed_up_ends_everything(settings: Settings) -> None:
    up = Joiner(settings, "postgres,kafka", start_broker=True, exclusive=True)
    up.told()
    assert len(_running_in(settings.data_dir)) >= 3
    up.kill()
    assert processes.wait_until(lambda: _running_in(settings.data_dir) == [], END_S)


def test_waiting_ends_with_a_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that never gets ready: stand in for it with a process that sleeps."""
    sleeper = subprocess.Popen(["sleep", "60"])
    entry = state.ServiceEntry(state="starting", keeper=state.entry_of(sleeper.pid))
    monkeypatch.setattr(membership._Membership, "_spawn_keeper", lambda _self, _name: entry)
    monkeypatch.setattr(membership, "LEAVE_TIMEOUT_S", 0.1)
    try:
        with pytest.raises(SettingsError, match="not ready yet"), join(settings, timeout_s=0.3):
            pass
    finally:
        sleeper.kill()
        sleeper.wait()
    assert describe(settings)["members"] == []


def test_a_cluster_that_cannot_start_is_named_with_its_reason(settings: Settings) -> None:
    settings.postgres_directory.mkdir(parents=True)
    (settings.postgres_directory / "something").write_text("else", encoding="ascii")
    with pytest.raises(SettingsError, match=r"not a PostgreSQL cluster.*something"), join(settings):
        pass
    (settings.postgres_directory / "something").unlink()
    with join(settings) as endpoints:
        assert _current_user(endpoints.database_url) == "jangbu_owner"


@pytest.mark.parametrize("owned_by_another", [False, True])
def test_postgresql_never_runs_as_root(settings: Settings, owned_by_another: bool) -> None:
    """As root it runs as the data directory's owner or a user of its own; otherwise as ourselves."""
    settings.data_dir.mkdir()
    expected = None if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0 and owned_by_another:
        expected = pwd.getpwnam("nobody").pw_uid
        os.chown(settings.data_dir, expected, -1)
    with join(settings):
        server = describe(settings)["services"]["postgres"]["pid"]
        user = Path(f"/proc/{server}").stat().st_uid
        assert user != 0
        assert expected in (None, user)
        # What we write there belongs to the directory's owner, who can go on without us.
        owner = settings.data_dir.stat().st_uid
        assert {file.stat().st_uid for file in settings.run_directory.iterdir()} == {owner}
        assert settings.postgres_directory.stat().st_uid == user


def test_another_users_cluster_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.postgres_directory.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: settings.data_dir.stat().st_uid + 4711)
    with pytest.raises(SettingsError, match="belongs to user"):
        EmbeddedPostgres(settings.postgres_directory, settings.run_directory).start()


def test_fixtures_give_each_test_a_database_of_its_own(database: DatabaseUrls) -> None:
    with psycopg.connect(database.owner) as owner:
        row = owner.execute("select count(*) from pg_class where relnamespace = 'public'::regnamespace").fetchone()
    assert row == (0,)
    assert _current_user(database.reader) == "jangbu_reader_login"


def test_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("장부 '부서' " + "x" * 100) / ("y" * 100)
    here = load(flags={"data_dir": str(deep)}, environ={}, cwd=tmp_path)
    with join(here) as endpoints:
        assert _current_user(endpoints.database_url) == "jangbu_owner"
    assert _running_in(deep) == []


def test_lost_run_directory_costs_nothing_but_new_passwords(settings: Settings) -> None:
    with join(settings) as endpoints:
        first = endpoints.database_url
        with psycopg.connect(first, autocommit=True) as owner:
            owner.execute("create table kept as select 7 as n")
    with join(settings) as endpoints:
        assert _password(endpoints.database_url) == _password(first)
    for file in settings.run_directory.iterdir():
        file.unlink()
    with join(settings) as endpoints:
        assert _password(endpoints.database_url) != _password(first)
        with psycopg.connect(endpoints.database_url) as owner:
            assert owner.execute("select n from kept").fetchone() == (7,)


def test_environment_of_the_caller_does_not_reach_the_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGDATA": "/nonexistent",
        "PGPORT": "1",
        "LISTENER_URL": "tcp://127.0.0.1:1",
        "STORAGE_ENGINE": "s3://x/",
        "LC_ALL": "xx_XX",
    }.items():
        monkeypatch.setenv(name, value)
    with join(settings, {"postgres", "kafka"}, start_broker=True) as endpoints:
        assert _current_user(endpoints.database_url) == "jangbu_owner"


def test_interrupted_starter_leaves_nothing(settings: Settings) -> None:
    """Killed right after it asked for the service, before anything is ready."""
    joiner = Joiner(settings)
    assert processes.wait_until(lambda: bool(describe(settings)["services"]), 30.0)
    joiner.kill()
    assert processes.wait_until(lambda: _running_in(settings.data_dir) == [], END_S)


def test_broker_alone(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "run")
    with broker:
        pid = broker.pid
        assert pid is not None
        assert broker.bootstrap.startswith("127.0.0.1:")
    assert processes.identity(pid) is None


def _current_user(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("select current_user").fetchone()
    assert row is not None
    return str(row[0])


def _password(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["password"])


def _running_in(directory: Path) -> list[int]:
    """Processes whose command line or working directory lies in ``directory``, except ours."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            place = str((entry / "cwd").readlink())
        except OSError:
            continue
        names_it = any(word.decode(errors="replace").startswith(str(directory)) for word in words)
        if (names_it or place.startswith(str(directory))) and processes.identity(int(entry.name)) is not None:
            found.append(int(entry.name))
    return sorted(found)
