"""The process that looks for what is due and delivers alerts. The rules are `billing.alerts`; here are the clock and
the waiting: one thread looks, one a channel delivers, so that a slow receiver delays no look and no other channel."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import exc

from billing.alerts.around import EVERY_S as KINDS_EVERY_S
from billing.alerts.around import Memory, look_around
from billing.alerts.deliveries import Plan, note_failed, note_sent, pack_due, take_due, tell_others
from billing.alerts.live import LiveStates
from billing.alerts.quiet import QuietHours
from billing.alerts.recipients import CHANNELS
from billing.alerts.watching import QuotaMemory, Watch, look, read_registers
from billing.pledges.pledge import PledgeRules
from jangbu.money_policy import policy_of
from jangbu.sending import NotTaken, Senders

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection, Engine

    from billing.alerts.alert import Kind
    from billing.alerts.deliveries import Parcel
    from billing.alerts.pipeline_rules import Away, Standing
    from jangbu.settings import Settings

EVERY_S = 1.0
LOOK_EVERY_S = 0.25
"""Between two looks at quotas: a threshold that is reached is to be in the mailbox within two seconds."""
BACKOFF_MAX_S = 15.0
HANDS = {"mail": 4}
"""Threads of a channel: a mail server answers in tens of milliseconds, and hundreds may be due at once."""
SHARE_OF_TIME = 20
"""What took a second is looked at again after so many."""
_SERIALIZATION_FAILURE = "40001"
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def watch_of(settings: Settings) -> Watch:
    """What the settings say about looking and telling. Raises SettingsError."""
    quiet = None
    if settings.alert_quiet_hours is not None:
        quiet = QuietHours(*settings.alert_quiet_hours, settings.alert_quiet_except)  # type: ignore[arg-type]
    return Watch(
        Plan(settings.timezone, quiet, settings.alert_digest_seconds),
        settings.alert_notify or (),
        settings.alert_mail_domain,
        policy_of(settings),
        settings.alert_budget_thresholds,
        PledgeRules(settings.pledge_version, settings.pledge_valid_days),
        settings.alert_late_seconds,
    )


def look_once(
    engine: Engine,
    zone: str,
    moment: datetime | None = None,
    watch: Watch | None = None,
    memory: QuotaMemory | None = None,
) -> list[int] | None:
    """Keep what is due of quotas now, or at an instant; the ids of new alerts, None where another process is looking.
    With a `memory` only what was added since is read."""
    asked = watch or Watch(Plan(zone))
    kept = QuotaMemory(LiveStates(zone)) if memory is None else memory
    at = moment or datetime.now(UTC)
    return _remembering(kept, lambda: in_snapshot(engine, lambda connection: look(connection, at, asked, kept)))


def in_snapshot(engine: Engine, work: Callable[[Connection], list[int] | None]) -> list[int] | None:
    """Work in one transaction whose reads all see one state; None where another process was quicker."""
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
            return work(connection)
    except exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _SERIALIZATION_FAILURE:
            return None
        raise


def look_around_once(
    engine: Engine,
    watch: Watch,
    moment: datetime | None = None,
    memory: Memory | None = None,
    kinds: Collection[Kind] = tuple(KINDS_EVERY_S),
) -> list[int] | None:
    """Keep what is due of everything but quotas; as `look_once`. What is remembered is as it was where nothing came of
    it."""
    kept, at = Memory() if memory is None else memory, moment or datetime.now(UTC)
    return _remembering(
        kept, lambda: in_snapshot(engine, lambda connection: look_around(connection, at, watch, kept, kinds))
    )


def _remembering(memory: Memory | QuotaMemory, work: Callable[[], list[int] | None]) -> list[int] | None:
    """Work, and forget what was read where nothing of it was committed."""
    try:
        new = work()
    except BaseException:
        memory.forget()
        raise
    if new is None:
        memory.forget()
    return new


def run(
    engine: Engine,
    zone: str,
    senders: Senders,
    stop: threading.Event,
    watch: Watch | None = None,
    standing: Callable[[], Sequence[Standing | Away]] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Look again and again, and deliver beside it, threads of each channel, until `stop` is set. `standing` tells where
    records wait in Kafka; `clock` as of when to look."""
    asked = watch or Watch(Plan(zone))
    hands = [(channel, threading.Event()) for channel in CHANNELS for _ in range(HANDS.get(channel, 1))]

    def wake_if(new: list[int] | None) -> None:
        if new:
            for _, is_due in hands:
                is_due.set()

    def delivering(channel: str) -> Callable[[], object]:
        own = senders.fresh()
        return lambda: deliver_due(engine, own, stop, asked, channels={channel})

    around = _Around(engine, asked, wake_if, standing, clock)
    work = [("delivering", delivering(channel), is_due) for channel, is_due in hands]
    threads = [
        threading.Thread(target=_again_and_again, args=(what, do, stop, wake, EVERY_S), name=what)
        for what, do, wake in [*work, ("looking around", around.look, stop)]
    ]
    for thread in threads:
        thread.start()
    memory = QuotaMemory(LiveStates(zone))

    def look() -> None:
        began_s = time.monotonic()
        wake_if(look_once(engine, zone, clock(), asked, memory))
        stop.wait(time.monotonic() - began_s)  # looking takes half of a core at most

    _again_and_again("looking", look, stop, stop, LOOK_EVERY_S)
    for _, is_due in hands:
        is_due.set()
    for thread in threads:
        thread.join()


class _Around:
    """Each kind in its own time: after its seconds, and never so often that it takes more than a twentieth of a core.
    One that fails is told of, and keeps no other from being looked at."""

    def __init__(
        self,
        engine: Engine,
        watch: Watch,
        tell: Callable[[list[int] | None], None],
        standing: Callable[[], Sequence[Standing | Away]] | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine, self._watch, self._tell, self._standing, self._clock = engine, watch, tell, standing, clock
        self._memory = Memory()
        self._failed: dict[Kind, str] = {}
        self._next_s: dict[Kind, float] = dict.fromkeys(KINDS_EVERY_S, 0.0)

    def look(self) -> None:
        """Look at the kinds whose time has come."""
        for kind in KINDS_EVERY_S:
            began_s = time.monotonic()
            if self._next_s[kind] <= began_s:
                if kind == "late":
                    self._memory.standing = () if self._standing is None else self._standing()
                self._look_at(kind)
                took_s = time.monotonic() - began_s
                self._next_s[kind] = began_s + max(KINDS_EVERY_S[kind], SHARE_OF_TIME * took_s)

    def _look_at(self, kind: Kind) -> None:
        try:
            self._tell(look_around_once(self._engine, self._watch, self._clock(), self._memory, (kind,)))
        except exc.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - said, and looked at again
            if self._failed.get(kind) != str(error):
                _log.error("alerts: looking at %s: %s", kind, error)
            self._failed[kind] = str(error)
        else:
            self._failed.pop(kind, None)


def _again_and_again(
    what: str, work: Callable[[], object], stop: threading.Event, wake: threading.Event, every_s: float
) -> None:
    """Work so often, and at once where it is woken. A database that is away is said once, and tried for ever."""
    wait_s, is_away = every_s, False
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
        except Exception:  # noqa: BLE001 - said, and tried again
            wait_s = min(BACKOFF_MAX_S, wait_s * 2)
            _log.exception("alerts: %s: trying again", what)
        else:
            if is_away:
                _log.warning("alerts: %s: the database answers again", what)
            wait_s, is_away = every_s, False


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
        plan, now = Plan("UTC") if watch is None else watch.plan, datetime.now(UTC)
        is_dead = note_failed(connection, parcel, str(error), plan, now, for_good=error.for_good)
        _log.warning("alerts: delivery %s was not taken: %s", parcel.id, error)
        if is_dead and watch is not None:
            tell_others(connection, parcel, read_registers(connection, datetime.now(UTC), watch))
        return 0
    note_sent(connection, parcel)
    return len(parcel.deliveries)
