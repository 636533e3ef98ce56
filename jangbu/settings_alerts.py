"""Settings of alerts: how they are sent, who hears of them, when people are left alone."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from jangbu.settings_values import one_of, parse_token, whole_number

COMMANDS_MAX: Final = 32
THRESHOLD_MAX: Final = 1000
_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}")


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


def parse_notify(text: str) -> tuple[str, ...]:
    """Recipients as quotas name them, separated by `;`."""
    # Imported here: a gateway's process reads settings and sends no alert.
    from billing.alerts.recipients import parse_recipients

    try:
        return parse_recipients(text)
    except ValueError as error:
        raise ValueError(f"names nobody that can be told: {error}") from None


def parse_mail_domain(text: str) -> str:
    """The domain in which a user id is a mail address."""
    if not _DOMAIN.fullmatch(text):
        raise ValueError("is no mail domain: write city.example.org")
    return text


def parse_commands(text: str) -> Mapping[str, tuple[str, ...]]:
    """Programs by name, a JSON object of lists of words: `{"pager": ["/usr/local/bin/page", "--urgent"]}`."""
    from billing.alerts.recipients import is_command_name

    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or len(told) > COMMANDS_MAX:
        raise ValueError('is no JSON object of commands: write {"pager": ["/usr/local/bin/page", "--urgent"]}')
    for name, argv in told.items():
        is_argv = isinstance(argv, list) and argv and all(isinstance(word, str) and "\0" not in word for word in argv)
        if not is_command_name(name) or not is_argv or not argv[0].startswith("/"):
            raise ValueError(
                f"names no program by {name!r}: write a name of a-z, 0-9, - and _, and a list of words that begins "
                "with the program's whole path"
            )
    return MappingProxyType({name: tuple(argv) for name, argv in told.items()})


def parse_quiet(text: str) -> tuple[time, time]:
    """`22:00-07:00` of the organisation's wall clock."""
    from billing.alerts.quiet import parse_quiet_hours

    return parse_quiet_hours(text)


def parse_thresholds(text: str) -> tuple[Decimal, ...]:
    """Percents, rising, separated by `;`."""
    found: set[Decimal] = set()
    for word in text.replace(";", " ").split():
        try:
            value = Decimal(word.rstrip("%"))
        except InvalidOperation:
            value = Decimal(0)
        if not (value.is_finite() and 0 < value <= THRESHOLD_MAX):
            raise ValueError("are no percents above 0: write 50;80;100")
        found.add(value)
    if not found:
        raise ValueError("are no percents: write 50;80;100")
    return tuple(sorted(found))


ALERT_SETTINGS: Final = (
    ("smtp_url", parse_smtp_url, None, True),
    ("mail_from", parse_mail_from, None, False),
    ("webhook_secret", parse_token, None, True),
    ("alert_language", one_of("ko", "en"), "ko", False),
    ("alert_notify", parse_notify, None, True),
    ("alert_mail_domain", parse_mail_domain, None, False),
    ("alert_commands", parse_commands, "{}", False),
    ("alert_command_seconds", whole_number(1, 600), "10", False),
    ("alert_quiet_hours", parse_quiet, None, False),
    ("alert_quiet_except", one_of("info", "warning", "critical"), "critical", False),
    ("alert_digest_seconds", whole_number(0, 86_400), "0", False),
    ("alert_budget_thresholds", parse_thresholds, "50;80;100", False),
    ("alert_late_seconds", whole_number(10, 86_400), "300", False),
)
"""Name, parser, default and whether it is secret (of an address the path may be), as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """Attributes:
    smtp_url: where mail is handed over; None: no mail is sent.
    mail_from: the address that mail comes from.
    webhook_secret: signs webhooks; None: none is sent.
    alert_language: of messages, ko or en.
    alert_notify: who hears of what concerns the organisation or the house itself; None: nobody.
    alert_mail_domain: user ids are mail addresses in it; None: nobody is told as a person.
    alert_commands: programs that alerts may go to, by name.
    alert_command_seconds: how long one may take.
    alert_quiet_hours: when people are left alone, of the local clock; None: never.
    alert_quiet_except: how grave an alert must be to be told then.
    alert_digest_seconds: how long alerts wait for others to go with; 0: they do not.
    alert_budget_thresholds: percents of a budget that are told.
    alert_late_seconds: how long records may wait without any being read.
    """

    smtp_url: str | None = field(repr=False)
    mail_from: str | None
    webhook_secret: str | None = field(repr=False)
    alert_language: str
    alert_notify: tuple[str, ...] | None = field(repr=False)
    alert_mail_domain: str | None
    alert_commands: Mapping[str, tuple[str, ...]]
    alert_command_seconds: int
    alert_quiet_hours: tuple[time, time] | None
    alert_quiet_except: str
    alert_digest_seconds: int
    alert_budget_thresholds: tuple[Decimal, ...]
    alert_late_seconds: int
