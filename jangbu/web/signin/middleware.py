"""ASGI middleware: who asks, and whether the request may change something.

It sets `request.state.person` (None: nobody), `request.state.csrf` (for the forms of a session), `request.state.client`
(the address), and `request.state.way` (how a session began; None of a token). The order: a bearer token, else the
proxy's header, else the session's cookie.
What a browser sends by itself (cookie, header of a proxy) may change something only with the session's form token, in
the field `csrf` or the header X-CSRF-Token, and from a page of ours. A bearer token needs none: no browser sends it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from jangbu.errors import JangbuError
from jangbu.web.answers import Refused, refusal
from jangbu.web.bodies import read_body
from jangbu.web.frame import language_of, render
from jangbu.web.refusals import refusal_lines
from jangbu.web.signin import api_tokens, sessions
from jangbu.web.signin.entrance import SESSION_COOKIE, Entrance
from jangbu.web.signin.heads import person_of
from jangbu.web.signin.oidc import roles_of
from jangbu.web.signin.places import client_of, is_among, is_foreign, peer_of
from jangbu.web.signin.secrets import form_token, same
from jangbu.web.signin.trail import note
from jangbu.web.wording import wording

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OF_PROGRAMS: Final = frozenset({"/api/v1/events", "/healthz", "/metrics"})
BELOW_PROGRAMS: Final = ("/v1/", "/static/")
"""Paths that know no people: the door has its own tokens, and must answer while the database is away."""
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
WITHOUT_SESSION: Final = frozenset({"/sign-in", "/sign-in/first"})
"""Their forms have a token of their own (pages.py), since whoever sends them has no session yet."""
USER_CHARACTERS_MAX: Final = 200
AWAY: Final = "the database is away: try again in a minute"
FOREIGN: Final = "this was sent by a page of another site: open the page here and send it again"
SIGNED_OUT: Final = "nobody is signed in, or no longer: sign in and send it again"
OLD_FORM: Final = "the form is from another session or too old: open the page again and send it from there"
"""Messages of the catalogue too."""
_log = logging.getLogger("jangbu.web")


class SignIn:
    """Middleware around every route; needs `app.state.sign_in`, an Entrance. Without one nobody is signed in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks; refuse what may not change anything."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        entrance: Entrance | None = getattr(scope["app"].state, "sign_in", None)
        request.state.person, request.state.csrf, request.state.way = None, None, None
        request.state.client = peer_of(request)
        if entrance is None or scope["path"] in OF_PROGRAMS or scope["path"].startswith(BELOW_PROGRAMS):
            await self._app(scope, receive, send)
            return
        request.state.client = client_of(request, entrance.settings.trusted_proxies)
        try:
            made = await self._recognise(request, entrance)
            if scope["method"] not in READING:
                receive = await _check_change(request, entrance)
        except Refused as refused:
            await _answer(refused, request)(scope, receive, send)
            return
        except (JangbuError, exc.OperationalError) as error:
            _log.warning("who asks cannot be looked up: %s", str(error).splitlines()[0])
            away = Refused(503, "database", AWAY, headers={"retry-after": "10"})
            await _answer(away, request)(scope, receive, send)
            return
        await self._app(scope, receive, send if made is None else _with_cookie(send, entrance, made))

    async def _recognise(self, request: Request, entrance: Entrance) -> str | None:
        """Set the state; the secret of a session that was made just now, for its cookie."""
        authorization = request.headers.get("authorization", "")
        if authorization[:7].lower() == "bearer ":
            await run_in_threadpool(_by_token, request, entrance, authorization[7:].strip())
            return None
        secret = request.cookies.get(entrance.cookie_name(SESSION_COOKIE))
        named = _named_by_proxy(request, entrance)
        if secret is None and named is None:
            return None
        return await run_in_threadpool(_by_session, request, entrance, secret, named)


def _by_token(request: Request, entrance: Entrance, secret: str) -> None:
    """A program. Raises Refused: 401 for an unknown token, 403 for a change by one that only reads."""
    if api_tokens.is_owner(secret, entrance.owner_token):
        bearer: api_tokens.Bearer | None = api_tokens.Bearer(api_tokens.OWNER, read_only=True)
    else:
        with entrance.engine().connect() as connection:
            bearer = api_tokens.bearer_of(connection, secret)
    if bearer is None:
        sentence = "the token is none of ours, revoked or past its end: ask for one (`jangbu token add`)"
        raise Refused(401, "token", sentence, headers={"www-authenticate": "Bearer"})
    if bearer.read_only and request.method not in READING:
        raise Refused(403, "read_only", f"{bearer.person.identity} may only read: use a token made with --read-write")
    request.state.person = bearer.person
    request.state.bearer = True


def _named_by_proxy(request: Request, entrance: Entrance) -> sessions.Entry | None:
    """Whom the proxy names. Raises Refused (403) where somebody else than the proxy does."""
    header = entrance.settings.sign_in_header
    told = [] if header is None else request.headers.getlist(header)
    if not told or header is None:
        return None
    if not is_among(peer_of(request), entrance.settings.trusted_proxies):
        sentence = f"the header {header} came from {peer_of(request)}, which is not among JANGBU_TRUSTED_PROXIES"
        raise Refused(403, "header", f"{sentence}: come by the organisation's proxy")
    user = told[0].strip()
    if len(told) > 1 or not user or len(user) > USER_CHARACTERS_MAX or not user.isprintable():
        raise Refused(403, "header", f"the header {header} names nobody, or more than one: mend the proxy's settings")
    listed = entrance.settings.sign_in_header_roles
    groups = request.headers.getlist(listed) if listed is not None else []
    found = frozenset(word.strip() for line in groups for word in line.split(","))
    return sessions.Entry("header", user, user, user, roles_of(found, entrance.settings.sign_in_roles))


def _by_session(
    request: Request, entrance: Entrance, secret: str | None, named: sessions.Entry | None
) -> str | None:
    """A person. Whom a proxy names has a session too, for the token of forms, but the header decides who it is."""
    made = None
    with entrance.engine().begin() as connection:
        found = None if secret is None else sessions.find_session(connection, secret, entrance.limits)
        if found is not None and (found.way == "header") != (named is not None):
            found = None  # the proxy's session without the proxy, or the other way round
        if named is not None:
            person = person_of(
                connection, named.identity, named.name, named.user, named.roles, named.departments
            )
            if found is None or found.person.identity != person.identity or found.person.roles != person.roles:
                made = secret = sessions.open_session(connection, named, entrance.limits, secret)
                address = request.state.client
                note(connection, named.identity, "sign_in", named.subject, detail={"way": "header"}, address=address)
            request.state.person, request.state.way = person, named.way
        elif found is not None:
            request.state.person, request.state.way = found.person, found.way
    if request.state.person is not None and secret is not None:
        request.state.csrf = form_token(secret)
    return made


async def _check_change(request: Request, entrance: Entrance) -> Receive:
    """Let a change pass, or raise Refused (403). Returns what gives the body once more."""
    if getattr(request.state, "bearer", False):
        return request.receive
    if is_foreign(request, entrance.settings.public_url):
        raise Refused(403, "origin", FOREIGN)
    expected: str | None = request.state.csrf
    if expected is None:
        if request.url.path in WITHOUT_SESSION:
            return request.receive
        raise Refused(401, "signed_out", SIGNED_OUT)
    if same(request.headers.get("x-csrf-token"), expected):
        return request.receive
    given = None
    receive = request.receive
    if request.headers.get("content-type", "").lower().startswith(FORMS):
        body = await read_body(request, request.app.state.door.limits)
        receive = _again(body, request.receive)
        async with Request(request.scope, _again(body, request.receive)).form() as form:
            fields = form.getlist("csrf")
            given = fields[0] if len(fields) == 1 and isinstance(fields[0], str) else None
    if not same(given, expected):
        raise Refused(403, "csrf", OLD_FORM)
    return receive


def _again(body: bytes, after: Receive) -> Receive:
    """A body that was read, given once more; then what comes after it."""
    told = False

    async def receive() -> Message:
        nonlocal told
        if told:
            return await after()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _with_cookie(send: Send, entrance: Entrance, secret: str) -> Send:
    """Give the answer the cookie of a session that was made for this request."""
    carrier = PlainTextResponse()
    entrance.set_cookie(carrier, SESSION_COOKIE, secret)

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", carrier.headers["set-cookie"])
        await send(message)

    return sent


def _answer(refused: Refused, request: Request) -> ASGIApp:
    """JSON for programs, a page for browsers; neither is kept."""
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        answer: Response = refusal(refused)
    else:
        lines = refusal_lines(refused, wording(language_of(request)))
        answer = render(request, "problem.html", refused.status, problem=lines, code=refused.code)
        answer.headers.update(refused.headers)
    answer.headers["cache-control"] = "no-store"
    return answer

