"""Posting to webhooks, and the signature that lets a receiver know that it was us. Redirects are not followed."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

import httpx2

from jangbu.sending.not_taken import NotTaken
from jangbu.sending.trust import trusted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.alerts.recipients import Recipient

TIMEOUT_S = 10.0
REPLAY_WINDOW_S = 300
"""How far a signature's timestamp may be away: an older message that somebody recorded is refused."""
_REFUSED_FOR_GOOD = {400, 401, 403, 404, 405, 410, 413, 415, 422}
_VERSION = "v1="


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 in hex over `timestamp.body`."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def signed_headers(secret: str, body: bytes, now_s: int | None = None) -> dict[str, str]:
    """The headers of a signed message; `now_s`: seconds since 1970."""
    at = str(int(time.time()) if now_s is None else now_s)
    return {"X-Jangbu-Timestamp": at, "X-Jangbu-Signature": _VERSION + signature(secret, at, body)}


def is_ours(secret: str, headers: Mapping[str, str], body: bytes, now_s: int) -> bool:
    """Whether a receiver may trust a message: signed with the secret, and not more than the window away. What it has
    taken already it knows by `X-Jangbu-Delivery`."""
    told = headers.get("X-Jangbu-Signature", "")
    at = headers.get("X-Jangbu-Timestamp", "")
    if not (at.isascii() and at.isdigit()) or len(at) > len(str(2**63)):
        return False
    is_signed = hmac.compare_digest(told.encode(), (_VERSION + signature(secret, at, body)).encode())
    return is_signed and abs(now_s - int(at)) <= REPLAY_WINDOW_S


def post(recipient: Recipient, body: bytes, headers: dict[str, str]) -> None:
    """Post once. Raises NotTaken."""
    try:
        answer = httpx2.post(
            recipient.address,
            content=body,
            headers={"Content-Type": "application/json", **headers},
            timeout=TIMEOUT_S,
            follow_redirects=False,
            verify=trusted(),
        )
    except httpx2.HTTPError as error:
        raise NotTaken(f"{recipient.shown} does not answer ({type(error).__name__})") from None
    if not answer.is_success:
        code = answer.status_code
        raise NotTaken(f"{recipient.shown} answered {code}", for_good=code in _REFUSED_FOR_GOOD)
