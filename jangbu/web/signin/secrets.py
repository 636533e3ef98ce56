"""Secrets that we give out: random, and only their SHA-256 is kept. From a session's secret follows its form token."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

SECRET_BYTES: Final = 32


def new_secret() -> str:
    """256 random bits as text for URLs and cookies."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """What is kept of a secret. It has 256 bits itself, so that a plain hash suffices."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def form_token(secret: str) -> str:
    """The `csrf` field of the forms that belong to a cookie's secret. It tells nothing of the secret."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"jangbu form", sha256).hexdigest()


def same(given: str | None, expected: str) -> bool:
    """Whether a text is the expected one, in a time that does not depend on where they differ."""
    return hmac.compare_digest((given or "").encode("utf-8", "surrogatepass"), expected.encode())
