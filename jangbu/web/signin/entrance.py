"""What the sign-in works with: settings, the database by billing's login, cookies. It stands at `app.state.sign_in`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from jangbu.errors import SettingsError
from jangbu.settings_sign_in import sign_in_contradictions
from jangbu.web.signin.oidc import Provider, provider_of
from jangbu.web.signin.sessions import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from starlette.applications import Starlette
    from starlette.responses import Response

    from jangbu.settings import Settings


@dataclass(frozen=True)
class Entrance:
    """Attributes:
    settings: all of them; those of settings_sign_in matter here.
    engine: gives the engine of billing's login; may raise JangbuError while the database is away.
    owner_token: JANGBU_TOKEN, resolved.
    address: where browsers find us; never what a request says, since links with secrets are made of it.
    say: where the link for the first account is told: standard error of `serve`.
    """

    settings: Settings
    engine: Callable[[], Engine]
    owner_token: str = field(repr=False)
    address: str
    say: Callable[[str], None]
    provider: Provider | None = None

    @property
    def limits(self) -> Limits:
        """How long sessions hold."""
        idle = timedelta(minutes=self.settings.session_idle_minutes)
        return Limits(idle, timedelta(hours=self.settings.session_hours))

    @property
    def is_https(self) -> bool:
        """Whether browsers come by https."""
        return (self.settings.public_url or "").startswith("https://")

    def cookie_name(self, name: str) -> str:
        """A cookie's name; the prefix makes browsers refuse it from subdomains and without TLS."""
        return f"__Host-{name}" if self.is_https else name

    def set_cookie(self, answer: Response, name: str, secret: str, *, seconds: int | None = None) -> None:
        """Give the browser a secret that no script reads and no other site's form sends."""
        answer.set_cookie(
            self.cookie_name(name), secret, max_age=seconds, path="/", secure=self.is_https, httponly=True,
            samesite="lax",
        )  # fmt: skip

    def forget_cookie(self, answer: Response, name: str) -> None:
        """Take it back."""
        answer.delete_cookie(
            self.cookie_name(name), path="/", secure=self.is_https, httponly=True, samesite="lax"
        )


SESSION_COOKIE = "jangbu_session"
BEFORE_COOKIE = "jangbu_before"
"""Of the sign-in's own forms, before there is a session; and of a sign-in under way at the provider."""


def entrance_of(
    settings: Settings, engine: Callable[[], Engine], owner_token: str, listens_on: str, say: Callable[[str], None]
) -> Entrance:
    """The entrance of these settings. Raises SettingsError where they contradict each other.

    Args:
        listens_on: `http://host:port` of `serve`, for links where JANGBU_PUBLIC_URL is not set.
    """
    for sentence in sign_in_contradictions(settings):
        raise SettingsError(sentence)
    address = settings.public_url or listens_on
    return Entrance(settings, engine, owner_token, address, say, provider_of(settings))


def mount(app: Starlette, entrance: Entrance) -> None:
    """Put the sign-in into an application: its routes, and the middleware inside the one that catches defects."""
    from jangbu.web.signin.middleware import SignIn
    from jangbu.web.signin.pages import signin_routes

    app.state.sign_in = entrance
    app.user_middleware.append(Middleware(SignIn))
    app.router.routes.extend(signin_routes())
