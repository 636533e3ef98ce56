"""Defects that the harness must find."""

from __future__ import annotations

import uuid
from typing import Any

from billing.alerts import watching
from jangbu.sending.mail import MailSession

DEFECTS = ("forgets before it is kept", "a new id each time")


def plant(name: str) -> None:
    """Put a defect into this process."""
    if name == "forgets before it is kept":
        keep = watching.keep

        def forgetful(connection: Any, due: Any, moment: Any, watch: Any) -> list[int]:
            """What was seen to be due counts as told, whether or not it was kept."""
            return keep(connection, [one for one in due if int(one.uid, 16) % 3], moment, watch)

        watching.keep = forgetful
    elif name == "a new id each time":
        send = MailSession.send

        def renamed(self: MailSession, said: Any, sender: str, to: str, _message: str, *rest: Any) -> None:
            send(self, said, sender, to, uuid.uuid4().hex, *rest)

        MailSession.send = renamed  # type: ignore[method-assign]
    elif name:
        raise ValueError(f"defect is {name!r}: use one of {DEFECTS}")
