"""The process that looks for what is due and delivers alerts. The rules are `billing.alerts`; here are the clock and
the waiting: one thread looks, one a channel delivers, so that a slow receiver delays no look and no other channel."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import exc

from billing.alerts.deliveries import Plan, note_failed, note_sent, pack_due, take_due, tell_deputies
from billing.alerts.quiet import QuietHours
from billing.alerts.recipients import CHANNELS
from billing.alerts.watching import Watch, look, read_registers
from jangbu.sending import NotTaken, Senders

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection, Engine

    from billing.alerts.deliveries import Parcel
    from jangbu.settings import Settings

EVERY_S = 1.0
BACKOFF_MAX_S = 15.0
_SERIALIZATION_FAILURE = "40001"
_log = logging.getLogger(__name__)


def watch_of(settings: Settings) -> Watch:
    """What the settings say about looking and telling."""
    quiet = None
    if settings.alert_quiet_hours is not None:
        quiet = QuietHours(*settings.alert_quiet_hours, settings.alert_quiet_except)  # type: ignore[arg-type]
    plan = Plan(settings.timezone, quiet, settings.alert_digest_seconds)
    return Watch(plan, settings.alert_notify or (), settings.alert_mail_domain)


def look_once(
    engine: Engine, zone: str, moment: datetime | None = None, watch: Watch | None = None
) -> list[int] | None:
    """Keep what is due now, or at an instant; the ids of new alerts, None where another process is looking."""
    asked = watch or Watch(Plan(zone))
    return in_snapshot(engine, lambda connection: look(connection, moment or datetime.now(UTC), asked))


def in_snapshot(engine: Engine, work: Callable[[Connection], list[int] | None]) -> list[int] | None:
    """Work in one transaction whose reads all see one state; None where another process was quicker."""
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
            return work(connection)
    except exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _SERIALIZATION_FAILURE:
            return None
        raise


def run(engine: Engine, zone: str, senders: Senders, stop: threading.Event, watch: Watch | None = None) -> None:
    """Look each second, and deliver beside it, a thread a channel, until `stop` is set."""
    asked = watch or Watch(Plan(zone))
    is_due = {channel: threading.Event() for channel in CHANNELS}

    def looking() -> None:
        if look_once(engine, zone, watch=asked):
            for event in is_due.values():
                event.set()

    def delivering(channel: str) -> Callable[[], object]:
        own = senders.fresh()
        return lambda: deliver_due(engine, own, stop, asked, channels={channel})

    threads = [
        threading.Thread(
            target=_again_and_again, args=("delivering", delivering(channel), stop, is_due[channel]), name=channel
        )
        for channel in CHANNELS
    ]
    for thread in threads:
        thread.start()
    _again_and_again("looking", looking, stop, stop)
    for event in is_due.values():
        event.set()
    for thread in threads:
        thread.join()


def _again_and_again(what: str, work: Callable[[], object], stop: threading.Event, wake: threading.Event) -> None:
    """Work each second, and at once where it is woken. A database that is away is said once, and tried for ever."""
    wait_s, is_away = EVERY_S, False
    while not stop.is_set():
        if wake.wait(wait_s) and wake is not stop:
            wake.clear()
        if stop.is_set():
            break
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


def deliver_due(
    engine: Engine,
    senders: Senders,
    stop: threading.Event | None = None,
    watch: Watch | None = None,
    channels: Collection[str] | None = None,
) -> int:
    """Send every message that is due, each in a transaction of its own; returns how many deliveries were taken."""
    taken = 0
    digest_s = 0 if watch is None else watch.plan.digest_s
    try:
        with engine.begin() as connection:
            pack_due(connection, digest_s)
        while stop is None or not stop.is_set():
            with engine.begin() as connection:
                parcel = take_due(connection, channels)
                if parcel is None:
                    break
                taken += _deliver(connection, parcel, senders, watch)
    finally:
        if isinstance(senders, Senders):
            senders.close()  # an idle session with the mail server is not kept
    return taken


def _deliver(connection: Connection, parcel: Parcel, senders: Senders, watch: Watch | None) -> int:
    """Send one message and note what became of it; how many deliveries were taken."""
    try:
        senders.send(parcel)
    except NotTaken as error:
        is_dead = note_failed(connection, parcel, str(error), for_good=error.for_good)
        _log.warning("alerts: delivery %s was not taken: %s", parcel.id, error)
        if is_dead and watch is not None and watch.mail_domain is not None:
            tell_deputies(connection, parcel, read_registers(connection, datetime.now(UTC), watch))
        return 0
    note_sent(connection, parcel)
    return len(parcel.deliveries)
