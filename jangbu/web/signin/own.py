"""A person's own account: who the pages think it is, another password, the end of every session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from jangbu.errors import UsageError
from jangbu.web.frame import SAFE_HEADERS, language_of, render, say
from jangbu.web.people import Role
from jangbu.web.signin import attempts
from jangbu.web.signin.accounts import checked, set_password
from jangbu.web.signin.entrance import SESSION_COOKIE, Entrance
from jangbu.web.signin.fields import read_fields
from jangbu.web.signin.sessions import Entry, open_session
from jangbu.web.wording import wording

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from jangbu.web.people import Person

ROLE_WORDS: Final = {
    Role.FINANCE: "finance",
    Role.HEAD: "head of a department",
    Role.PLATFORM: "platform team",
    Role.AUDITOR: "auditor",
    Role.EMPLOYEE: "employee",
}
"""Messages of the catalogue, as are the sentences below."""
ELSEWHERE = "This account is your organisation's: its password is changed there."
WRONG = "The present password is wrong."
DIFFERENT = "The two passwords differ."
TOO_OFTEN = "Too many attempts. Wait a quarter of an hour, or ask the platform team."
DONE = "The password is another now. Whoever else was signed in as you no longer is."


async def show_own(request: Request) -> Response:
    """Name, user id, roles, departments, and the way that this person came in."""
    if request.state.person is None:
        return RedirectResponse("/sign-in?next=%2Faccount", 303, headers=SAFE_HEADERS)
    return _page(request)


async def change_password(request: Request) -> Response:
    """Another password for the own account, with the present one; the other sessions end. The form was checked."""
    entrance: Entrance = request.app.state.sign_in
    person: Person = request.state.person
    if request.state.way != "account":
        return _page(request, 403, ELSEWHERE)
    fields = await read_fields(request)
    present, password, again = (str(fields.get(name, "")) for name in ("present", "password", "again"))
    if password != again:
        return _page(request, 400, DIFFERENT)

    def change() -> str | None:
        engine = entrance.engine()
        name = person.identity.removeprefix("web:")
        noted = attempts.admit(engine, request.state.client, name)
        if noted is None:
            return None
        with engine.begin() as connection:
            account = checked(connection, name, present)
            if account is None:
                return ""
            set_password(connection, name, password, actor=person.identity, address=request.state.client)
            entry = Entry("account", account.name, account.display_name, account.user, frozenset(account.roles))
            secret = open_session(connection, entry, entrance.limits, None)
        attempts.forget(engine, noted)
        return secret

    try:
        secret = await run_in_threadpool(change)
    except UsageError as error:
        return _page(request, 400, str(error))
    if not secret:
        return _page(request, 429 if secret is None else 403, TOO_OFTEN if secret is None else WRONG)
    answer = RedirectResponse("/account", 303, headers=SAFE_HEADERS)
    entrance.set_cookie(answer, SESSION_COOKIE, secret)
    say(answer, "done", wording(language_of(request)).gettext(DONE))
    return answer


def _page(request: Request, status: int = 200, problem: str | None = None) -> Response:
    texts = wording(language_of(request))
    roles = [texts.gettext(ROLE_WORDS[role]) for role in sorted(request.state.person.roles)]
    has_password = request.state.way == "account"
    return render(request, "account.html", status, problem=problem, roles=roles, has_password=has_password)
