"""Settings of alerts: the mail server, the secret that signs webhooks, the language of messages."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from jangbu.settings_values import parse_token


def parse_smtp_url(text: str) -> str:
    """`smtp://host:port` (encrypted where the server offers it) or `smtps://…`, with `user:password@` where needed."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and not parts.path.strip("/")
        _ = parts.port
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("is no mail server: write smtp://host:587 or smtps://user:password@host:465")
    return text


def parse_mail_from(text: str) -> str:
    """The address that mail comes from."""
    name, at, host = text.partition("@")
    if not (name and at and host) or not text.isascii() or any(letter.isspace() or letter in "<>,;" for letter in text):
        raise ValueError("is no mail address: write name@host")
    return text


def parse_language(text: str) -> str:
    """ko or en."""
    if text not in ("ko", "en"):
        raise ValueError("is no language of ours: use ko or en")
    return text


ALERT_SETTINGS: Final = (
    ("smtp_url", parse_smtp_url, None, True),
    ("mail_from", parse_mail_from, None, False),
    ("webhook_secret", parse_token, None, True),
    ("alert_language", parse_language, "ko", False),
)
"""Name, parser, default and whether it is secret, as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """Attributes:
    smtp_url: where mail is handed over; None: no mail is sent.
    mail_from: the address that mail comes from.
    webhook_secret: signs webhooks; None: none is sent.
    alert_language: of messages, ko or en.
    """

    smtp_url: str | None = field(repr=False)
    mail_from: str | None
    webhook_secret: str | None = field(repr=False)
    alert_language: str
