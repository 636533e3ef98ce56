"""A defect of ours: answered with 500 and logged by its kind and place, never by its message.

The message of an error may hold what an event contained, and a server's own handler would log it with the trace. So
nothing unexpected passes beyond this middleware.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("jangbu.web")


class Defects:
    """ASGI middleware around every route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 500 where nothing was answered yet; else the connection ends as it is."""
        answered = False

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001 - whatever it is, its message must not reach a log
            _log.error("unexpected %s at %s", type(error).__name__, _place(error))
            if not answered:
                said = {"error": "the server has a defect; nothing was accepted: send again", "code": "defect"}
                await JSONResponse(said, 500)(scope, receive, send)


def _place(error: Exception) -> str:
    """File and line where it was raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "?" if place is None else f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
