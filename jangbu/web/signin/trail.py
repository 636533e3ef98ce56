"""The audit trail of the pages: who did what when, from which address. Rows of `web_event` are only added.

A row is written in the transaction of what it tells: neither is there without the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_NOTE = text(
    "insert into web_event (actor, action, subject, detail, address)"
    " values (:actor, :action, :subject, cast(:detail as jsonb), :address)"
)


def note(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    *,
    detail: Mapping[str, object] | None = None,
    address: str | None = None,
) -> None:
    """Add a row.

    Args:
        actor: `web:SUBJECT`, `token:NAME`, `os:USER`, or `unknown` for a refused sign-in.
        action: a word of a-z and _, such as `sign_in`.
        subject: what it was done to. Never a secret, never what somebody typed instead of a known name.
        address: the client's; None for commands.
    """
    said = json.dumps(dict(detail or {}), ensure_ascii=False)
    told = {"actor": actor, "action": action, "subject": subject, "detail": said, "address": address}
    connection.execute(_NOTE, told)
