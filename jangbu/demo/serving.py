"""`demo --serve`: the pages over the demo's books, with an account for each role, until it is stopped."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from typing import TYPE_CHECKING, Final

import click
from sqlalchemy import text

from jangbu.context import Context
from jangbu.demo.running import clean_environment
from jangbu.web.people import Role
from jangbu.web.signin.accounts import add_account

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jangbu.demo.figures import DepartmentTotal
    from jangbu.demo.place import Place

PORT: Final = 8080
_SOMEBODY: Final = """
  select "user" from roster where department = :department and "user" is not null order by 1 limit 1"""


def make_accounts(place: Place, largest: Sequence[DepartmentTotal]) -> str:
    """One account a role, of one made-up password, which is returned; it is kept nowhere else."""
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    context = Context({"data_dir": str(place.data)}, None, {}, place.root)
    department = largest[0].code if largest else None
    with context.engine("billing") as engine, engine.begin() as connection:
        user = connection.execute(text(_SOMEBODY), {"department": department}).scalar()
        for role in Role:
            headed = [department] if role is Role.HEAD and department is not None else []
            own = user if role is Role.EMPLOYEE else None
            add_account(connection, str(role), password, [role], actor="os:demo", user=own, departments=headed)
    return password


def serve_demo(place: Place, largest: Sequence[DepartmentTotal], words: Mapping[str, str]) -> None:
    """Say how to sign in, and become `jangbu up` on the demo's books: it ends as that ends."""
    password = make_accounts(place, largest)
    port = _free_port()
    roles = ", ".join(str(role) for role in Role)
    click.echo(words["serve"].format(url=f"http://127.0.0.1:{port}", roles=roles, password=password))
    sys.stdout.flush()
    environment = {**clean_environment(), "JANGBU_PORT": str(port)}
    os.chdir(place.root)
    arguments = [sys.executable, "-P", "-m", "jangbu", "up", "--workers", "1", "--data-dir", str(place.data)]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - ourselves


def _free_port() -> int:
    """8080, or another where something listens there."""
    for port in (PORT, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asked:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                asked.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(asked.getsockname()[1])
    return PORT
