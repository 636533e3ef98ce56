"""The routes of the sign-in. A sign-in always opens a new session; where it leads is a path of ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse
from starlette.routing import Route

from jangbu.errors import JangbuError
from jangbu.web.frame import render
from jangbu.web.signin import attempts, once
from jangbu.web.signin.accounts import add_account, checked, has_accounts
from jangbu.web.signin.entrance import BEFORE_COOKIE, SESSION_COOKIE, Entrance
from jangbu.web.signin.fields import read_fields
from jangbu.web.signin.own import DIFFERENT, change_password, show_own
from jangbu.web.signin.places import local_path
from jangbu.web.signin.provider_pages import callback, to_provider
from jangbu.web.signin.secrets import form_token, new_secret, same
from jangbu.web.signin.sessions import Entry, end_session, end_sessions_of, open_session
from jangbu.web.signin.trail import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

FIRST_ROLES = ("finance", "platform")
WRONG = "The name or the password is wrong, or the account is shut."
TOO_OFTEN = "Too many attempts. Wait a quarter of an hour, or ask the platform team."
NO_DATABASE = "The database does not answer. Try again in a minute."
OLD_FORM = "The form was too old. Please try again."
_VOID = "This link was used before or is past its fifteen minutes. Open the sign-in page: a new one is printed."
_log = logging.getLogger("jangbu.web")


def signin_routes() -> list[BaseRoute]:
    """Routes for `application`; they work with `app.state.sign_in`."""
    endpoints = (
        ("/sign-in", "GET", show_sign_in),
        ("/sign-in", "POST", sign_in),
        ("/sign-out", "POST", sign_out),
        ("/sign-in/oidc", "GET", to_provider),
        ("/sign-in/oidc/callback", "GET", callback),
        ("/sign-in/first", "GET", show_first),
        ("/sign-in/first", "POST", make_first),
        ("/account", "GET", show_own),
        ("/account/password", "POST", change_password),
    )
    return [Route(path, _said_when_away(endpoint), methods=[method]) for path, method, endpoint in endpoints]


def _said_when_away(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same, with a sentence where the database is away or older than we are."""

    async def said(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (JangbuError, OperationalError) as error:
            _log.warning("sign-in without its database: %s", str(error).splitlines()[0])
            answer = render(request, "sign_in_refused.html", 503, problem=NO_DATABASE)
            answer.headers["retry-after"] = "10"
            return answer

    return said


async def show_sign_in(request: Request) -> Response:
    """The form, and the way to the provider."""
    entrance: Entrance = request.app.state.sign_in
    going = local_path(request.query_params.get("next"))
    if request.state.person is not None:
        return RedirectResponse(going, 303)
    is_empty = await run_in_threadpool(_offer_first, entrance)
    return _form(request, entrance, 200, going=going, is_empty=is_empty)


async def sign_in(request: Request) -> Response:
    """Name and password -> session."""
    entrance: Entrance = request.app.state.sign_in
    fields = await read_fields(request)
    going = local_path(fields.get("next"))
    before = request.cookies.get(entrance.cookie_name(BEFORE_COOKIE))
    if before is None or not _is_own_form(request, fields, before):
        return _form(request, entrance, 403, going=going, problem=OLD_FORM)
    if entrance.settings.sign_in_accounts == "off":
        return _form(request, entrance, 403, going=going)
    name, password = str(fields.get("name", ""))[:200], str(fields.get("password", ""))
    brought = request.cookies.get(entrance.cookie_name(SESSION_COOKIE))
    outcome = await run_in_threadpool(_admitted, entrance, name, password, request.state.client, brought)
    if outcome is None:
        return _form(request, entrance, 429, going=going, problem=TOO_OFTEN, name=name)
    if not outcome:
        return _form(request, entrance, 403, going=going, problem=WRONG, name=name)
    return _entered(entrance, outcome, going)


async def sign_out(request: Request) -> Response:
    """End this session, or with `everywhere` all of the person. The middleware has checked the form."""
    entrance: Entrance = request.app.state.sign_in
    everywhere = (await read_fields(request)).get("everywhere") is not None
    secret = request.cookies.get(entrance.cookie_name(SESSION_COOKIE))

    def end() -> None:
        person = request.state.person
        with entrance.engine().begin() as connection:
            if everywhere and person.identity.startswith("web:"):
                end_sessions_of(connection, person.identity)
            else:
                end_session(connection, secret)
            action = "sign_out_everywhere" if everywhere else "sign_out"
            note(connection, person.identity, action, person.identity, address=request.state.client)

    await run_in_threadpool(end)
    answer = RedirectResponse("/sign-in", 303)
    entrance.forget_cookie(answer, SESSION_COOKIE)
    return answer


async def show_first(request: Request) -> Response:
    """The form behind the link for the first account. Opening it uses nothing up: mail scanners open links."""
    entrance: Entrance = request.app.state.sign_in
    token = request.query_params.get("token", "")

    def holds() -> bool:
        with entrance.engine().connect() as connection:
            return once.holds(connection, "first", token) and not has_accounts(connection)

    if not await run_in_threadpool(holds):
        return render(request, "sign_in_first.html", 403, problem=_VOID, token=None, name="")
    return render(request, "sign_in_first.html", token=token, problem=None, name="")


async def make_first(request: Request) -> Response:
    """The first account, of finance and platform, and its session. The link is used up by it."""
    entrance: Entrance = request.app.state.sign_in
    fields = await read_fields(request)
    token, name = str(fields.get("token", "")), str(fields.get("name", ""))
    password, again = str(fields.get("password", "")), str(fields.get("again", ""))
    if password != again:
        return render(request, "sign_in_first.html", 400, problem=DIFFERENT, token=token, name=name)

    def make() -> str | None:
        with entrance.engine().begin() as connection:
            if once.take(connection, "first", token) is None or has_accounts(connection):
                return None
            told = {"actor": "web:first-link", "user": name.strip(), "address": request.state.client}
            account = add_account(connection, name, password, FIRST_ROLES, display_name=name.strip(), **told)
            entry = Entry("account", account.name, account.display_name, account.user, frozenset(account.roles))
            return open_session(connection, entry, entrance.limits, None)

    try:
        secret = await run_in_threadpool(make)
    except JangbuError as error:
        return render(request, "sign_in_first.html", 400, problem=str(error), token=token, name=name)
    if secret is None:
        return render(request, "sign_in_first.html", 403, problem=_VOID, token=None, name="")
    return _entered(entrance, secret, "/")


def _admitted(entrance: Entrance, name: str, password: str, address: str, brought: str | None) -> str | None:
    """The new session's secret; empty: refused; None: too many attempts."""
    engine = entrance.engine()
    noted = attempts.admit(engine, address, name.strip().casefold())
    if noted is None:
        with engine.begin() as connection:
            note(connection, "unknown", "sign_in_limited", "account", address=address)
        return None
    with engine.begin() as connection:
        account = checked(connection, name, password)
        if account is None:
            note(connection, "unknown", "sign_in_refused", "account", address=address)
            return ""
        entry = Entry("account", account.name, account.display_name, account.user, frozenset(account.roles))
        secret = open_session(connection, entry, entrance.limits, brought)
        note(connection, entry.identity, "sign_in", account.name, detail={"way": "account"}, address=address)
    attempts.forget(engine, noted)
    return secret


def _offer_first(entrance: Entrance) -> bool:
    """Whether there is no account yet; then a link for the first one is printed where `serve` runs, if none holds."""
    engine = entrance.engine()
    if entrance.settings.sign_in_accounts == "off":
        return False
    with engine.connect() as connection:
        if has_accounts(connection):
            return False
        is_offered = once.has_first_link(connection)
    is_needed = entrance.provider is None and entrance.settings.sign_in_header is None
    if is_needed and not is_offered:
        link = once.first_link(engine, entrance.address, "web:sign-in")
        if link is not None:
            entrance.say(f"No account exists yet. Make the first one within 15 minutes: {link}")
    return is_needed


def _form(request: Request, entrance: Entrance, status: int, *, going: str, **values: object) -> Response:
    """The sign-in page, with the cookie that its form belongs to."""
    before = new_secret()
    told = {"problem": None, "name": "", "is_empty": False, **values}
    answer = render(
        request, "sign_in.html", status, going=going, before=form_token(before),
        has_accounts=entrance.settings.sign_in_accounts == "on",
        provider=None if entrance.provider is None else f"/sign-in/oidc?next={quote(going, safe='')}", **told,
    )  # fmt: skip
    entrance.set_cookie(answer, BEFORE_COOKIE, before, seconds=3_600)
    if status == 429:
        answer.headers["retry-after"] = str(attempts.WAIT_S)
    return answer


def _is_own_form(request: Request, fields: FormData, before: str) -> bool:
    """Whether the form came from the page that this browser got; one of a session was checked by the middleware."""
    given = fields.get("before")
    return request.state.person is not None or same(given if isinstance(given, str) else None, form_token(before))


def _entered(entrance: Entrance, secret: str, going: str) -> Response:
    answer = RedirectResponse(going, 303, headers={"cache-control": "no-store"})
    entrance.set_cookie(answer, SESSION_COOKIE, secret)
    entrance.forget_cookie(answer, BEFORE_COOKIE)
    return answer
