"""The way to the provider and back. What was sent along is kept under the hash of `state`; the browser has a cookie.

`state` alone would let somebody finish his own sign-in in another's browser; the cookie ties it to the one that began.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from jangbu.web.frame import render
from jangbu.web.signin import attempts, once
from jangbu.web.signin.entrance import BEFORE_COOKIE, SESSION_COOKIE, Entrance
from jangbu.web.signin.oidc import NotSignedIn, Provider, ProviderAway, groups_of, roles_of
from jangbu.web.signin.places import local_path
from jangbu.web.signin.secrets import form_token, new_secret, same
from jangbu.web.signin.sessions import Entry, open_session
from jangbu.web.signin.trail import note

if TYPE_CHECKING:
    from typing import Any

    from starlette.requests import Request
    from starlette.responses import Response

CALLBACK = "/sign-in/oidc/callback"
AWAY = "The provider does not answer. Try again later."
REFUSED = "The provider's answer was refused."
USER_CHARACTERS_MAX = 200
_log = logging.getLogger("jangbu.web")


async def to_provider(request: Request) -> Response:
    """Send the browser to the provider."""
    entrance: Entrance = request.app.state.sign_in
    provider = entrance.provider
    if provider is None:
        return render(request, "sign_in_refused.html", 404, problem="No provider is set here.")
    before, nonce, verifier = new_secret(), new_secret(), new_secret() + new_secret()
    going = local_path(request.query_params.get("next"))
    back = entrance.address + CALLBACK
    kept = {"nonce": nonce, "verifier": verifier, "next": going, "browser": form_token(before), "back": back}

    def begin() -> str | None:
        engine = entrance.engine()
        if attempts.admit(engine, request.state.client) is None:
            return None
        with engine.begin() as connection:
            state = once.make(connection, "flow", once.FLOW_MINUTES, kept)
        return provider.address(back, state, nonce, verifier)

    try:
        address = await run_in_threadpool(begin)
    except ProviderAway as error:
        return _refused(request, error, 503)
    if address is None:
        problem = "Too many attempts. Wait a quarter of an hour, or ask the platform team."
        return render(request, "sign_in_refused.html", 429, problem=problem)
    answer = RedirectResponse(address, 303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})
    entrance.set_cookie(answer, BEFORE_COOKIE, before, seconds=once.FLOW_MINUTES * 60)
    return answer


async def callback(request: Request) -> Response:
    """Who comes back from the provider."""
    entrance: Entrance = request.app.state.sign_in
    provider = entrance.provider
    if provider is None:
        return render(request, "sign_in_refused.html", 404, problem="No provider is set here.")
    try:
        secret, going = await run_in_threadpool(_come_back, request, entrance, provider)
    except ProviderAway as error:
        return _refused(request, error, 503)
    except NotSignedIn as error:
        await run_in_threadpool(_note_refusal, entrance, request.state.client)
        return _refused(request, error, 403)
    answer = RedirectResponse(going, 303, headers={"cache-control": "no-store"})
    entrance.set_cookie(answer, SESSION_COOKIE, secret)
    entrance.forget_cookie(answer, BEFORE_COOKIE)
    return answer


def _come_back(request: Request, entrance: Entrance, provider: Provider) -> tuple[str, str]:
    """The new session's secret and where to go on. Raises NotSignedIn, ProviderAway."""
    told = request.query_params
    engine = entrance.engine()
    with engine.begin() as connection:
        flow = once.take(connection, "flow", told.get("state", ""))
    before = request.cookies.get(entrance.cookie_name(BEFORE_COOKIE), "")
    if flow is None or not same(form_token(before), flow["browser"]):
        raise NotSignedIn("the sign-in was not begun in this browser, or more than ten minutes ago")
    if told.get("iss", provider.issuer) != provider.issuer:
        raise NotSignedIn("another provider answered than the one that was asked")
    if "error" in told or not told.get("code"):
        raise NotSignedIn("the provider signed nobody in")
    claims = provider.claims(told["code"], flow["back"], flow["nonce"], flow["verifier"])
    entry = entry_of(claims, entrance)
    with engine.begin() as connection:
        brought = request.cookies.get(entrance.cookie_name(SESSION_COOKIE))
        secret = open_session(connection, entry, entrance.limits, brought)
        detail = {"way": "oidc", "roles": sorted(entry.roles)}
        note(connection, entry.identity, "sign_in", entry.subject, detail=detail, address=request.state.client)
    return secret, local_path(flow["next"])


def entry_of(claims: dict[str, Any], entrance: Entrance) -> Entry:
    """Who the claims say it is. Raises NotSignedIn where they name nobody."""
    settings = entrance.settings
    user = claims.get(settings.oidc_user_claim)
    if not isinstance(user, str) or not 0 < len(user) <= USER_CHARACTERS_MAX or not user.isprintable():
        raise NotSignedIn(f"the claim {settings.oidc_user_claim} names nobody: set JANGBU_OIDC_USER_CLAIM")
    shown = claims.get(settings.oidc_name_claim)
    name = shown if isinstance(shown, str) and shown.strip() and shown.isprintable() else user
    roles = roles_of(groups_of(claims, settings.oidc_roles_claim), settings.sign_in_roles)
    claim = settings.oidc_departments_claim
    departments = frozenset[str]() if claim is None else groups_of(claims, claim)
    return Entry("oidc", user, name[:USER_CHARACTERS_MAX], user, roles, departments)


def _note_refusal(entrance: Entrance, address: str) -> None:
    with entrance.engine().begin() as connection:
        note(connection, "unknown", "sign_in_refused", "oidc", address=address)


def _refused(request: Request, error: Exception, status: int) -> Response:
    """One sentence for the person; the reason in the log."""
    _log.warning("sign-in at the provider: %s", error)
    return render(request, "sign_in_refused.html", status, problem=AWAY if status == 503 else REFUSED)
