"""The process that looks at quotas each second. The rules are `billing.quotas`; here are the clock and the waiting."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import exc

from billing.quotas.looking import look

if TYPE_CHECKING:
    from sqlalchemy import Engine

LOOK_EVERY_S = 1.0
BACKOFF_MAX_S = 15.0
_log = logging.getLogger(__name__)


def look_once(engine: Engine, zone: str, moment: datetime | None = None) -> list[int] | None:
    """Keep what is due now, or at an instant; the ids of new alerts, None where another process is looking."""
    with engine.begin() as connection:
        return look(connection, moment or datetime.now(UTC), zone)


def run(engine: Engine, zone: str, stop: threading.Event) -> None:
    """Look each second until `stop` is set. A database that is away is said once, and tried again for ever."""
    wait_s, is_away = LOOK_EVERY_S, False
    while not stop.wait(wait_s):
        try:
            look_once(engine, zone)
        except exc.OperationalError as error:
            wait_s = min(BACKOFF_MAX_S, wait_s * 2)
            if not is_away:
                _log.warning("alerts: the database does not answer (%s); trying again", str(error.orig).splitlines()[0])
            is_away = True
        else:
            if is_away:
                _log.warning("alerts: the database answers again")
            wait_s, is_away = LOOK_EVERY_S, False
