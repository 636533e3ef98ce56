"""Who hears of an alert: entries of `notify`, and how each is told. Pure.

`name@host` is mail, `slack:https://…` a webhook that takes Slack's form, `https://…` (or `http://…` within the house) a
signed webhook of ours, `command:NAME` a program that the settings name.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args
from urllib.parse import urlsplit

Channel = Literal["mail", "slack", "webhook", "command"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
FOR_PEOPLE: frozenset[Channel] = frozenset({"mail", "slack"})
"""Where several alerts may go in one message; programs get each by itself."""
COMMAND = "command:"
_MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ADDRESS_CHARACTERS_MAX = 500


class Recipient(NamedTuple):
    """Where one message goes. `address` is a mail address, a URL, or the name of a command."""

    channel: Channel
    address: str

    @property
    def shown(self) -> str:
        """For lists and logs: of a URL only the host, because its path may be what lets one in."""
        if self.channel == "mail":
            return self.address
        return f"{self.channel}:{self.address if self.channel == 'command' else urlsplit(self.address).hostname}"


def parse_recipient(text: str) -> Recipient:
    """An entry of `notify`. Raises ValueError with the remedy."""
    if len(text) > ADDRESS_CHARACTERS_MAX:
        raise ValueError(f"at most {ADDRESS_CHARACTERS_MAX} characters")
    if _MAIL.fullmatch(text):
        return Recipient("mail", text)
    if text.startswith(COMMAND) and is_command_name(text.removeprefix(COMMAND)):
        return Recipient("command", text.removeprefix(COMMAND))
    channel: Channel = "slack" if text.startswith("slack:") else "webhook"
    address = text.removeprefix("slack:")
    try:
        parts = urlsplit(address)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_web = False
    if not is_web or not address.isascii() or any(letter.isspace() for letter in address):
        raise ValueError("write a mail address, https://…, slack:https://… or command:NAME, separated by ;")
    return Recipient(channel, address)


def parse_recipients(text: str) -> tuple[str, ...]:
    """The entries of a cell, as they are written, each once. Raises ValueError naming the first that is none."""
    found: dict[str, None] = {}
    for part in (part.strip() for part in text.split(";")):
        if part:
            try:
                _check_address(parse_recipient(part))
            except ValueError as error:
                raise ValueError(f"{part!r} is nobody that can be told: {error}") from None
            found[part] = None
    return tuple(found)


def _check_address(recipient: Recipient) -> None:
    """Raises ValueError for an address to which nothing can ever be sent: no such port, no such host name."""
    if recipient.channel not in ("slack", "webhook"):
        return
    parts = urlsplit(recipient.address)
    try:
        is_one = recipient.address.isprintable() and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("the host or the port of this address cannot be: check it")


def is_command_name(text: str) -> bool:
    """Whether a command may be called so."""
    return _NAME.fullmatch(text) is not None


def mail_of_user(user: str | None, domain: str | None) -> str | None:
    """A person's address in the organisation's mail domain; None where there is none, or the id makes no address."""
    address = f"{user}@{domain}" if user and domain else ""
    return address if _MAIL.fullmatch(address) else None
