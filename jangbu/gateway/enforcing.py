"""Decides about calls from memory; two threads keep the memory: one is told of changes, one leases slices.

A call that stays within this process's slices waits for nothing. One that is short of a slice waits for one answer of
the door, `LEASE_WAIT_S` at most; what happens to calls while the door is away is a setting (fail open or closed).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.quotas.leases import Account
from jangbu.gateway import bounds, refusals
from jangbu.gateway.asked_models import AskedModels
from jangbu.gateway.door_client import DoorAway, DoorClient, DoorRefuses
from jangbu.gateway.known import Asked, Caller, Known, Left, most
from jangbu.gateway.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jangbu.gateway.refusals import Refusal
    from jangbu.gateway.settings import GatewaySettings
    from producers.contract import UsageEvent

FEED_WAIT_S: Final = 5.0
"""How long the door may keep a question for news open."""
STALE_S: Final = 15.0
"""What was told so long ago is known no more."""
REPORT_EVERY_S: Final = 1.0
LEASE_WAIT_S: Final = 2.0
LEASE_TRIES: Final = 4
RETRY_S: Final = 0.5
SAY_AGAIN_S: Final = 60.0
WINDOW_KEPT_S: Final = 600
"""So long after a window's end its accounts are kept: a call that waits for a slice of it is over by then."""
_log = logging.getLogger("jangbu.gateway")


class Verdict(NamedTuple):
    """What memory says of a call: the refusal, or what is to be held; the most telling quota; a default maximum set."""

    refusal: Refusal | None
    needs: tuple[tuple[Left, int], ...] = ()
    telling: Left | None = None
    unpriced: bool = False


class Enforcer:
    """One a process. `drained` tells whether nothing of earlier processes is left in this one's outbox."""

    def __init__(
        self,
        settings: GatewaySettings,
        slot: str,
        drained: Callable[[], bool],
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self.enforces = settings.quota == "enforce"
        self.slices = Slices()
        self.known = Known()
        self.models = AskedModels()
        self.counts = {"refused": 0, "would_refuse": 0, "undecided": 0, "lease_waits": 0}
        self._settings = settings
        self._slot = f"{socket.gethostname()}:{slot}"
        self._life = uuid.uuid4().hex
        self._drained = drained
        self._say = say
        self._known_at_s = float("-inf")
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._said_at_s: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._follow, name="jangbu-quotas", daemon=True),
            threading.Thread(target=self._lease, name="jangbu-leases", daemon=True),
        ]

    def start(self) -> None:
        """Learn what is known now, if the door answers, and follow it."""
        client = self._client()
        try:
            self._learn(client, 0.0)
        except Exception as error:  # noqa: BLE001 - a gateway starts whatever stands at the door's address
            said = str(error) if isinstance(error, DoorAway) else f"{type(error).__name__} in what the door says"
            self._say_now_and_then(f"quotas are not known yet ({said}): calls {self._then()}")
        finally:
            client.close()
        for thread in self._threads:
            thread.start()

    async def check(
        self, call_id: str, caller: Caller, asked: Asked, data: dict[str, Any], call_type: str
    ) -> Refusal | None:
        """Decide about a call and hold what it may use; None: it passes. May set a default maximum in `data`."""
        now_s = time.monotonic()
        if now_s > self._known_at_s + STALE_S:
            return self.undecided()
        verdict = self.judge(caller, asked, data, call_type, datetime.now(UTC))
        if verdict.unpriced:
            self.models.ask(asked.models, now_s)
            await self._answer()
            verdict = self.judge(caller, asked, data, call_type, datetime.now(UTC))
        if verdict.refusal is not None:
            return self._refuse(verdict.refusal)
        if not verdict.needs:
            return None
        needs = tuple((left.account, amount) for left, amount in verdict.needs)
        short = self.slices.hold(call_id, needs, now_s)
        tries = 0 if short and self.slices.is_denied(needs, now_s) else LEASE_TRIES
        for _ in range(tries):
            if not short:
                break
            if not await self._answer():
                return self.undecided()
            short = self.slices.hold(call_id, needs, time.monotonic())
        if short:
            left, need = next((left, amount) for left, amount in verdict.needs if left.account == short[0])
            return self._refuse(refusals.over_quota(left, datetime.now(UTC), need))
        default = self._settings.quota_output_tokens_max
        if default is not None and bounds.stated_output(data, call_type) is None:
            bounds.set_output(data, call_type, default)
        return None

    def judge(self, caller: Caller, asked: Asked, data: Mapping[str, Any], call_type: str, moment: datetime) -> Verdict:
        """What memory says, without holding anything."""
        known = self.known
        if not known.has_signed(caller.user):
            return Verdict(refusals.unsigned(known.sign_at))
        if not known.allows_model(caller.user, asked):
            return Verdict(refusals.other_model(asked.name))
        found = known.left(caller, asked, moment)
        telling = min(found, key=_share_left, default=None)
        for left in found:
            if left.used >= left.limit:
                return Verdict(refusals.over_quota(left, moment), (), left)
        hard = [left for left in found if left.quota.mode == "hard"] if self.enforces else []
        if not hard:
            return Verdict(None, (), telling)
        bound = bounds.bound_of(data, call_type, self._settings.quota_output_tokens_max)
        needs: list[tuple[Left, int]] = []
        for left in hard:
            amount = most(left, asked, bound, self.models.rates)
            if amount is None:
                is_unpriced = left.quota.currency is not None and not self.models.has_asked(asked.models)
                return Verdict(refusals.unbounded(left), (), left, is_unpriced)
            if amount > left.limit:  # no slice can hold it, and none is asked for
                return Verdict(refusals.over_quota(left, moment, amount), (), left)
            if amount:
                needs.append((left, amount))
        return Verdict(None, tuple(needs), telling)

    def undecided(self) -> Refusal | None:
        """What becomes of a call about which nothing can be said: it passes, or is refused, as the settings say."""
        self.counts["undecided"] += 1
        if self._settings.quota_fail == "open":
            return None
        return self._refuse(refusals.unknown())

    async def next_attempt(self, call_id: str) -> bool:
        """Whether a request may call a vendor again."""
        short = self.slices.next_attempt(call_id, time.monotonic())
        if not short:
            return True
        if not await self._answer():
            return self._settings.quota_fail == "open"
        return not self.slices.next_attempt(call_id, time.monotonic())

    def written(self, call_id: str, event: UsageEvent) -> None:
        """An event of a call stands in the outbox: what it used is settled."""
        hour = int(event.time.timestamp()) // 3600
        self.slices.settle(call_id, hour, event.id, self.known.settled(event, self.models.rates))

    def headers(self, caller: Caller, asked: Asked) -> dict[str, str]:
        """What an answer tells."""
        if time.monotonic() > self._known_at_s + STALE_S:
            return {}
        found = self.known.left(caller, asked, datetime.now(UTC))
        return refusals.headers_of(min(found, key=_share_left)) if found else {}

    def document(self) -> dict[str, object]:
        """Counters, for the status file."""
        return {"known": time.monotonic() <= self._known_at_s + STALE_S, "version": self.known.version, **self.counts}

    def close(self, patience_s: float) -> None:
        """Tell what was settled, and give back what is free."""
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            if thread is threading.current_thread() or not thread.is_alive():
                continue
            thread.join(patience_s if thread is self._threads[1] else 0.1)
        client = self._client()
        deadline_s = time.monotonic() + patience_s
        try:
            while not self.slices.is_idle() and time.monotonic() < deadline_s:
                self._report(client, closing=True)
                if self.slices.is_clear():
                    break
        except DoorAway as error:
            self._say(f"what was leased could not be given back ({error}): it counts as spent until it expires")
        finally:
            client.close()

    def _refuse(self, refusal: Refusal) -> Refusal | None:
        self.counts["refused" if self.enforces else "would_refuse"] += 1
        return refusal if self.enforces else None

    def _then(self) -> str:
        return "pass undecided" if self._settings.quota_fail == "open" or not self.enforces else "are refused"

    async def _answer(self) -> bool:
        """Wait for the door's next answer; False where none comes."""
        self.counts["lease_waits"] += 1
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            self._waiting.append(entry)
        self._wake.set()
        try:
            await asyncio.wait_for(event.wait(), LEASE_WAIT_S)
        except TimeoutError:
            return False
        finally:
            with self._lock:
                if entry in self._waiting:  # whoever waits no more is not kept: the door may be away for hours
                    self._waiting.remove(entry)
        return True

    def _follow(self) -> None:
        client = self._client()
        while not self._stop.is_set():
            try:
                self._learn(client, FEED_WAIT_S)
            except DoorAway as error:
                self._say_now_and_then(f"quotas are not told now ({error}): calls {self._then()} after {STALE_S:.0f} s")
                self._stop.wait(RETRY_S)
            except Exception:  # noqa: BLE001 - told again, tried again
                _log.exception("quotas could not be read")
                self._stop.wait(RETRY_S)
        client.close()

    def _learn(self, client: DoorClient, wait_s: float) -> None:
        known = self.known
        asked_s = time.monotonic()
        news = client.news(known.epoch, known.version, wait_s)
        if news["version"] != known.version or news["epoch"] != known.epoch:
            self.known = known.and_then(news)
        self._known_at_s = max(asked_s, time.monotonic() - 1.0)

    def _lease(self) -> None:
        client = self._client()
        reported_s = float("-inf")
        while not self._stop.is_set():
            self._wake.wait(max(0.0, reported_s + REPORT_EVERY_S - time.monotonic()))
            self._wake.clear()
            now_s = time.monotonic()
            self.slices.let_go(now_s)
            if self.slices.is_idle() and not self._waiting:
                reported_s = now_s
                continue
            try:
                self._report(client)
            except DoorAway as error:
                self._say_now_and_then(f"slices are not leased now ({error})")
                self._stop.wait(RETRY_S)
            except Exception:  # noqa: BLE001 - told again, tried again
                _log.exception("a report of leases failed")
                self._stop.wait(RETRY_S)
            reported_s = now_s
        client.close()

    def _report(self, client: DoorClient, *, closing: bool = False) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        sent_s = time.monotonic()
        try:
            report = self.slices.report(closing=closing)
            models = self.models.latest(sent_s)
            answer = client.report({
                **report, "life": self._life, "slot": self._slot, "source": self._settings.source,
                "drained": self._drained(), "models": models,
            })  # fmt: skip
        except DoorRefuses as error:
            self._life = uuid.uuid4().hex
            lost = self.slices.refused()
            also = f"; {lost} settled calls count only once their events are in the sums" if lost else ""
            self._say_now_and_then(f"a report of leases is refused for good ({error}): begun anew{also}")
            with self._lock:
                self._waiting = waiting + self._waiting
            raise
        except DoorAway:
            with self._lock:
                self._waiting = waiting + self._waiting  # their own patience ends their waiting
            raise
        if answer["lost"]:
            self._life = uuid.uuid4().hex
            self.slices.begin_anew()
            self._wake.set()
        else:
            self.models.learn(answer.get("rates", ()))
            granted = [(Account(*entry[:3]), entry[3]) for entry in answer["granted"]]
            self.slices.answered(answer["number"], granted, sent_s)
            moment = datetime.now(UTC) - timedelta(seconds=WINDOW_KEPT_S)
            self.slices.forget_before(self.known.over_at(moment))
        for loop, event in waiting:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop has ended
                continue

    def _client(self) -> DoorClient:
        return DoorClient(self._settings.door_url or "", self._settings.door_token or "")

    def _say_now_and_then(self, sentence: str) -> None:
        now_s = time.monotonic()
        if now_s - self._said_at_s.get(sentence[:20], float("-inf")) >= SAY_AGAIN_S:
            self._said_at_s[sentence[:20]] = now_s
            self._say(sentence)


def _share_left(left: Left) -> float:
    return left.remaining / left.limit
