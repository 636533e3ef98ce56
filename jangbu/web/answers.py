"""What a request is told: JSON with a sentence that says what to do. Never a token, never what an event contained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from starlette.responses import JSONResponse

from producers.door.bodies import BadEvent

CLOSE: Final = {"connection": "close"}
"""For answers given before the body was read: the rest of it is not wanted."""


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        sentence: str,
        *,
        bad: Sequence[BadEvent] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.bad = tuple(bad)
        self.headers = dict(headers or {})
        super().__init__(sentence)


def refusal(error: Refused) -> JSONResponse:
    """The answer to a refused request; each bad event with its place in the body."""
    document: dict[str, Any] = {"error": str(error), "code": error.code}
    if error.bad:
        document["events"] = [asdict(bad) for bad in error.bad]
    return JSONResponse(document, error.status, headers=error.headers)
