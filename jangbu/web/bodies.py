"""A request's body, read within its limits of size and time, and expanded within the same size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from jangbu.web.answers import CLOSE, Refused
from producers.door.compression import BodyBroken, BodyTooLarge, EncodingUnknown, expand

if TYPE_CHECKING:
    from starlette.requests import Request

    from jangbu.web.door import DoorLimits


ONCE: Final = ("authorization", "content-type", "content-encoding")
"""Headers that say who sends and how to read it: of two, a proxy in front and we could each believe another."""


def check_headers(request: Request) -> None:
    """Raises Refused (400) where a header that decides stands more than once, or asks for another protocol: the parser
    gives no body out then, as HTTP clients of Java send it unless they are told to speak HTTP/1.1."""
    if "upgrade" in request.headers and "upgrade" in request.headers.get("connection", "").lower():
        sentence = "the header upgrade asks for another protocol: send HTTP/1.1 without it"
        raise Refused(400, "upgrade", sentence, headers=CLOSE)
    for name in ONCE:
        if len(request.headers.getlist(name)) > 1:
            raise Refused(400, "repeated_header", f"the header {name} stands more than once: send it once")


async def read_body(request: Request, limits: DoorLimits) -> bytes:
    """The whole body as it came. Raises Refused: 413 too large, 408 too slow, 400 broken off."""
    _check_length(request.headers.get("content-length"), limits)
    chunks: list[bytes] = []
    size_bytes = 0
    try:
        async with asyncio.timeout(limits.body_seconds_max):
            async for chunk in request.stream():
                size_bytes += len(chunk)
                if size_bytes > limits.body_bytes_max:
                    raise _too_large(limits)
                chunks.append(chunk)
    except TimeoutError:
        sentence = f"the body took longer than {limits.body_seconds_max} s: send less at once, or faster"
        raise Refused(408, "slow_body", sentence, headers=CLOSE) from None
    except ClientDisconnect:
        raise Refused(400, "broken_off", "the body broke off", headers=CLOSE) from None
    return b"".join(chunks)


def expand_body(body: bytes, encoding: str | None, limits: DoorLimits) -> bytes:
    """The body without its compression. Raises Refused: 413, 415 unknown encoding, 400 broken."""
    try:
        return expand(body, encoding or "", limits.body_bytes_max)
    except BodyTooLarge as error:
        raise Refused(413, "too_large", str(error)) from None
    except EncodingUnknown as error:
        raise Refused(415, "encoding", str(error)) from None
    except BodyBroken as error:
        raise Refused(400, "broken_body", str(error)) from None


def media_of(content_type: str | None) -> str:
    """The media type without its parameters, in lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def _check_length(text: str | None, limits: DoorLimits) -> None:
    """Refuse by what the sender says before anything is read."""
    if text is not None and text.isdigit() and int(text[:20]) > limits.body_bytes_max:
        raise _too_large(limits)


def _too_large(limits: DoorLimits) -> Refused:
    sentence = f"the body is larger than {limits.body_bytes_max} bytes: send fewer events at once"
    return Refused(413, "too_large", sentence, headers=CLOSE)
