"""The process that looks at quotas each second and delivers alerts. The rules are `billing.quotas`; here are the clock
and the waiting."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import exc

from billing.quotas.deliveries import note_failed, note_sent, take_due
from billing.quotas.looking import look
from jangbu.sending import NotTaken

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from jangbu.sending import Senders

EVERY_S = 1.0
BACKOFF_MAX_S = 15.0
_log = logging.getLogger(__name__)


def look_once(engine: Engine, zone: str, moment: datetime | None = None) -> list[int] | None:
    """Keep what is due now, or at an instant; the ids of new alerts, None where another process is looking."""
    with engine.begin() as connection:
        return look(connection, moment or datetime.now(UTC), zone)


def run(engine: Engine, zone: str, senders: Senders, stop: threading.Event) -> None:
    """Look each second, and deliver beside it (a slow receiver delays no look), until `stop` is set."""
    delivering = threading.Thread(
        target=_each_second, args=("delivering", lambda: deliver_due(engine, senders, stop), stop), name="delivering"
    )
    delivering.start()
    _each_second("looking", lambda: look_once(engine, zone), stop)
    delivering.join()


def _each_second(what: str, work: Callable[[], object], stop: threading.Event) -> None:
    """Work each second. A database that is away is said once, and tried again for ever."""
    wait_s, is_away = EVERY_S, False
    while not stop.wait(wait_s):
        try:
            work()
        except exc.OperationalError as error:
            wait_s = min(BACKOFF_MAX_S, wait_s * 2)
            if not is_away:
                said = str(error.orig).splitlines()[0]
                _log.warning("alerts: %s: the database does not answer (%s); trying again", what, said)
            is_away = True
        else:
            if is_away:
                _log.warning("alerts: %s: the database answers again", what)
            wait_s, is_away = EVERY_S, False


def deliver_due(engine: Engine, senders: Senders, stop: threading.Event | None = None) -> int:
    """Send every delivery that is due, each in a transaction of its own; returns how many were taken."""
    taken = 0
    while stop is None or not stop.is_set():
        with engine.begin() as connection:
            delivery = take_due(connection)
            if delivery is None:
                break
            try:
                senders.send(delivery)
            except NotTaken as error:
                note_failed(connection, delivery, str(error), for_good=error.for_good)
                _log.warning("alerts: delivery %s was not taken: %s", delivery.id, error)
            else:
                note_sent(connection, delivery)
                taken += 1
    return taken
