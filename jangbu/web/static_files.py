"""Styles and scripts of the pages: served under an address that holds the content's hash, so that browsers may keep
them for a year and never show an old one."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOR_A_YEAR: Final = "public, max-age=31536000, immutable"


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Every file's content by the name it is served under."""
    found = {}
    for file in sorted(STATIC.iterdir()):
        if file.suffix in _TYPES:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[f"{file.stem}.{digest}{file.suffix}"] = (content, _TYPES[file.suffix])
    return found


@cache
def static_url(name: str) -> str:
    """Where a file of static/ is served. Raises KeyError where there is none of that name."""
    stem, _, suffix = name.rpartition(".")
    for served in _files():
        if served.startswith(f"{stem}.") and served.endswith(f".{suffix}"):
            return f"/static/{served}"
    raise KeyError(name)


async def _serve(request: Request) -> Response:
    found = _files().get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("not found", 404)
    content, media_type = found
    return Response(content, media_type=media_type, headers={"cache-control": FOR_A_YEAR})


STATIC_ROUTES: Final = (Route("/static/{name}", _serve, methods=["GET"]),)
