"""Our application on a loopback port with a database of its own, for the tests of the pages.

Sign in as a person does: `signed_in(web, "finance")` gives a client whose session was opened by a real account.
"""

from __future__ import annotations

import re
import ssl
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import uvicorn
from argon2 import PasswordHasher
from starlette.responses import JSONResponse
from starlette.routing import Route

from billing.pledges.pledge import PledgeRules
from jangbu.commands.serve import opened_door
from jangbu.context import Context
from jangbu.web.books import Books
from jangbu.web.quota_keeper import QuotaKeeper
from jangbu.web.serving import configuration, listen
from jangbu.web.signin import passwords
from jangbu.web.signin.accounts import add_account
from jangbu.web.signin.entrance import entrance_of
from jangbu.web.site import whole_application

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from socket import socket

    from sqlalchemy import Engine
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from jangbu.services.postgres import DatabaseUrls

PASSWORD = "vier wörter sind genug"
TOKEN = "owner-token-of-a-test"
NO_TLS = ssl.create_default_context()
"""One for all clients: each would read the certificates of all authorities by itself, for addresses without TLS."""
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""For tests alone: a hundred sign-ins with the real one are ten seconds of a core."""


class Web:
    """A running application. `said` is what `serve` would print."""

    def __init__(self, url: str, books: Books, said: list[str], app: Starlette) -> None:
        self.app = app
        self.url = url
        self.books = books
        self.said = said
        self._clients: list[httpx.Client] = []

    @property
    def engine(self) -> Engine:
        """Of billing's login."""
        return self.books.engine("billing")

    def client(self, **options: Any) -> httpx.Client:
        """A browser without script: it keeps cookies and follows nothing by itself. `close_clients` ends it."""
        made = httpx.Client(base_url=self.url, timeout=60, verify=NO_TLS, **options)
        self._clients.append(made)
        return made

    def close_clients(self) -> None:
        """Close every client so far: an open socket that is forgotten is a warning, thus an error."""
        while self._clients:
            self._clients.pop().close()

    def account(self, name: str, *roles: str, **options: Any) -> None:
        """An account with PASSWORD."""
        with self.engine.begin() as connection:
            add_account(connection, name, PASSWORD, roles, actor="os:test", **options)

    def rows(self, sql: str) -> list[Any]:
        """What the database holds."""
        with self.engine.connect() as connection:
            return list(connection.exec_driver_sql(sql))


async def who(request: Request) -> Response:
    """What the middleware found, as the tests read it."""
    person = request.state.person
    told = None
    if person is not None:
        told = {
            "identity": person.identity, "name": person.name, "user": person.user, "roles": sorted(person.roles),
            "departments": sorted(person.departments),
        }  # fmt: skip
    return JSONResponse({"person": told, "csrf": request.state.csrf, "client": request.state.client})


async def change(request: Request) -> Response:
    """A change, as a page makes it: it reads its form after the middleware did."""
    async with request.form() as form:
        return JSONResponse({"changed": form.get("value")})


PROBES = (Route("/probe", who), Route("/probe", change, methods=["POST"]), Route("/api/v1/probe", who))


@contextmanager
def running_web(
    urls: DatabaseUrls, directory: Path, routes: Sequence[BaseRoute] = PROBES, **settings: str
) -> Iterator[Web]:
    """The application until the block ends, in a thread of this process."""
    addresses = {"database_url": urls.owner, **{f"database_url_{r}": urls.as_dict()[r] for r in ("billing", "reader")}}
    told = {**addresses, "data_dir": str(directory / "data"), "token": TOKEN, **settings}
    context = Context({}, None, {f"JANGBU_{name.upper()}": value for name, value in told.items()}, directory)
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    said: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(listener)
        stack.enter_context(patch.object(passwords, "_hasher", QUICK_HASHER))
        resolved = context.settings
        quotas = QuotaKeeper(context.engine, resolved.timezone, PledgeRules(resolved.pledge_version, None))
        stack.callback(quotas.close)
        books = stack.enter_context(Books(context))  # without the board: pages show what a test changed just now
        entrance = entrance_of(resolved, lambda: books.engine("billing"), TOKEN, url, said.append)
        door = stack.enter_context(opened_door(resolved))
        app = whole_application(door, books, quotas, entrance, "en", routes)
        web = Web(url, books, said, app)
        stack.enter_context(_served(uvicorn.Server(configuration(app)), listener))
        stack.callback(web.close_clients)
        yield web


@contextmanager
def _served(server: uvicorn.Server, listener: socket) -> Iterator[None]:
    """A server in a thread, until the block ends."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def field(page: str, name: str) -> str:
    """A hidden field's value."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, going: str = "/probe") -> httpx.Response:
    """Fill in the form of the sign-in page."""
    page = client.get("/sign-in", params={"next": going}).text
    fields = {"before": field(page, "before"), "next": field(page, "next"), "name": name, "password": password}
    return client.post("/sign-in", data=fields)


def signed_in(web: Web, role: str, name: str | None = None, **options: Any) -> httpx.Client:
    """A client signed in with an account of one role, which is made where it is not there."""
    spelt = name or f"{role}-1"
    if not web.rows(f"select 1 from web_account where name = '{spelt}'"):
        web.account(spelt, role, user=spelt, **options)
    client = web.client()
    assert sign_in(client, spelt).status_code == 303
    return client


def csrf_of(client: httpx.Client) -> str:
    """The form token of a client's session."""
    return str(client.get("/probe").json()["csrf"])
