"""`POST /v1/events` and its twin `POST /api/v1/events`: bodies of events -> the outbox.

The order of steps, and what each refuses: token (401), rate (429), body (413, 408), compression (413, 415, 400), shape
(415, 400, 413), each event (400, 403), outbox (503). Only after the last is the request answered with success.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from jangbu.web.answers import Refused
from jangbu.web.bodies import check_headers, expand_body, media_of, read_body
from jangbu.web.door import LARGE_BODY_BYTES
from producers.adapters.openmeter import event_of
from producers.door.bodies import (
    Admission,
    BodyRefused,
    MediaRefused,
    SourceForbidden,
    TooManyEvents,
    admit,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from jangbu.web.door import Door
    from producers.contract import UsageEvent
    from producers.door.tokens import Bearer
    from producers.outbox import Accepted


async def post_events(request: Request) -> Response:
    """Events as contract.md, section 1 writes them; 202 once they are durable."""
    door: Door = request.app.state.door
    rows = await _received(request, lambda part: [door.reader.read(part)])
    return JSONResponse({"accepted": len(rows)}, 202)


async def post_openmeter_events(request: Request) -> Response:
    """The twin for OpenMeter's clients: their events, and ours; 204 once they are durable."""
    door: Door = request.app.state.door
    accepted_at = datetime.fromtimestamp(door.now_ms() / 1000, UTC)
    await _received(request, lambda part: [event_of(part, accepted_at)])
    return Response(status_code=204)


async def _received(request: Request, read: Callable[[bytes], list[UsageEvent]]) -> list[Accepted]:
    """The rows of a request, durable. Raises Refused."""
    door: Door = request.app.state.door
    check_headers(request)
    bearer = door.bearer(request.headers.get("authorization"))
    door.check_rate(bearer)
    body = await read_body(request, door.limits)
    headers = dict(request.headers)

    def understood() -> list[Accepted]:
        return _rows(door, bearer, expand_body(body, headers.get("content-encoding"), door.limits), headers, read)

    large = len(body) > LARGE_BODY_BYTES or headers.get("content-encoding") is not None
    if large:
        rows = await asyncio.get_running_loop().run_in_executor(door.threads, understood)
    else:
        rows = understood()
    await door.take(rows, bearer)
    return rows


def _rows(
    door: Door, bearer: Bearer, body: bytes, headers: dict[str, str], read: Callable[[bytes], list[UsageEvent]]
) -> list[Accepted]:
    """A body's events, judged. Raises Refused."""
    try:
        parts = parts_of(media_of(headers.get("content-type")), body, headers, door.limits.batch_events_max)
        return admit(parts, Admission(read, door.bounds, door.now_ms(), bearer.sources))
    except SourceForbidden as error:
        raise Refused(403, "source_forbidden", str(error), bad=error.bad) from None
    except TooManyEvents as error:
        raise Refused(413, "too_many_events", str(error)) from None
    except MediaRefused as error:
        raise Refused(415, "media", str(error)) from None
    except BodyRefused as error:
        raise Refused(400, "events" if error.bad else "body", str(error), bad=error.bad) from None
