"""The fields of the sign-in's forms, their bodies bounded as every body is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from jangbu.web.bodies import read_body

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.types import Message


async def read_fields(request: Request) -> FormData:
    """The form's fields. Raises Refused where the body is too large or too slow."""
    body = await read_body(request, request.app.state.door.limits)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return await Request(request.scope, receive).form(max_files=0, max_fields=20)
