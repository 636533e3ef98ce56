"""The pages and their API put into the application, beside the door."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from jangbu.output import json_text
from jangbu.web.answers import Refused, refusal
from jangbu.web.application import application
from jangbu.web.openapi import openapi_document
from jangbu.web.pages import REGISTERED
from jangbu.web.quotas import quota_routes
from jangbu.web.routes import problem_page, routes_of
from jangbu.web.signin.entrance import mount
from jangbu.web.static_files import STATIC_ROUTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from jangbu.web.books import Books
    from jangbu.web.door import Door
    from jangbu.web.quota_keeper import QuotaKeeper
    from jangbu.web.signin.entrance import Entrance


def site_routes(books: Books) -> list[BaseRoute]:
    """Every page, resource, and static file."""
    document = json_text(openapi_document(REGISTERED, version("jangbu")))

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type="application/json")

    return [*STATIC_ROUTES, Route("/api/v1/openapi.json", openapi, methods=["GET"]), *routes_of(REGISTERED, books)]


def whole_application(
    door: Door, books: Books, quotas: QuotaKeeper, entrance: Entrance, language: str, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """Everything that `serve` serves: the door, quotas for gateways, the sign-in, pages and API. `more`: of tests."""
    app = application(door, [*quota_routes(quotas), *more])
    mount(app, entrance)
    mount_site(app, books, language)
    return app


def mount_site(app: Starlette, books: Books, language: str) -> None:
    """Put the site into an application. `language`: of a reader whose browser names none of ours."""
    app.state.settings, app.state.language = books.settings, language
    app.router.routes.extend(site_routes(books))
    app.add_exception_handler(404, _not_found)


async def _not_found(request: Request, _error: Exception) -> Response:
    sentence = "there is no such page: look at its address, or begin at the overview"
    refused = Refused(404, "not_found", sentence)
    if request.url.path.startswith(("/api/", "/v1/")) or "text/html" not in request.headers.get("accept", ""):
        return refusal(refused)
    return problem_page(request, refused)
