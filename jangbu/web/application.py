"""The application: routes and what surrounds each of them. A new surface is routes, given beside `DOOR_ROUTES`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from jangbu.web.answers import Refused, refusal
from jangbu.web.defects import Defects
from jangbu.web.events import post_events, post_openmeter_events
from jangbu.web.kept import Unkept
from jangbu.web.otlp import TRACES, post_traces, traces_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from jangbu.web.door import Door

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


async def healthz(request: Request) -> Response:
    """200 while events can be accepted as far as we know; 503 where the outbox cannot be read."""
    door: Door = request.app.state.door
    well = await run_in_threadpool(door.is_well)
    return JSONResponse({"status": "ok" if well else "outbox unreadable"}, 200 if well else 503)


async def metrics(request: Request) -> Response:
    """Counters and gauges in Prometheus' text format."""
    door: Door = request.app.state.door
    return PlainTextResponse(await run_in_threadpool(door.page_of_counts), media_type=PROMETHEUS)


DOOR_ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route("/v1/events", post_events, methods=["POST"]),
    Route("/api/v1/events", post_openmeter_events, methods=["POST"]),
    Route(TRACES, post_traces, methods=["POST"]),
    Route("/healthz", healthz),
    Route("/metrics", metrics),
)
"""What programs speak to. Pages for people are routes of their own, given to `application` beside these."""


def application(door: Door, pages: Sequence[BaseRoute] = ()) -> Starlette:
    """The ASGI application around one door."""
    app = Starlette(
        routes=[*DOOR_ROUTES, *pages],
        middleware=[Middleware(Unkept), Middleware(Defects)],
        exception_handlers={Refused: _answer_refusal},  # type: ignore[dict-item]
    )
    app.state.door = door
    return app


async def _answer_refusal(request: Request, error: Refused) -> Response:
    door: Door = request.app.state.door
    door.counts.refused[error.code] += 1
    for bad in error.bad:
        door.counts.refused[f"event_{bad.code}"] += 1
    return traces_refusal(request, error) if request.url.path == TRACES else refusal(error)
