"""Where a request comes from and where it may be sent: the client's address, our own origin, local paths alone."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import HTTPConnection

    from jangbu.settings_sign_in import Network

NEXT_CHARACTERS_MAX = 2_000


def is_among(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks. An IPv4 address in IPv6 clothes counts as what it is."""
    try:
        told = ip_address(address)
    except ValueError:
        return False
    told = getattr(told, "ipv4_mapped", None) or told
    return any(told.version == network.version and told in network for network in networks)


def peer_of(request: HTTPConnection) -> str:
    """The address at the other end of the connection."""
    return request.client.host if request.client is not None else "unknown"


def client_of(request: HTTPConnection, proxies: Sequence[Network]) -> str:
    """The client's address: X-Forwarded-For is read from its right end, as far as trusted proxies wrote it."""
    address = peer_of(request)
    told = [word.strip() for line in request.headers.getlist("x-forwarded-for") for word in line.split(",")]
    while told and is_among(address, proxies):
        address = told.pop()
    return address


def is_foreign(request: HTTPConnection, public_url: str | None) -> bool:
    """Whether a browser says that a page of somebody else sends this. What says nothing is not foreign."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if public_url is not None:
        return origin != public_url
    return urlsplit(origin).netloc != request.headers.get("host", "") or origin == "null"


def local_path(asked: object) -> str:
    """A path of ours to go on to; `/` for anything that a browser could read as another place."""
    text = asked if isinstance(asked, str) else ""
    ours = text.startswith("/") and not text.startswith("//") and len(text) <= NEXT_CHARACTERS_MAX
    if not ours or "\\" in text or any(not sign.isprintable() or sign == " " for sign in text):
        return "/"
    parts = urlsplit(text)
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("/sign-") else text
