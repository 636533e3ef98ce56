"""From a hand-over to the outbox and on: one queue in memory, one thread that writes, one that delivers.

**The boundary.** `hand_over` returns when an event stands in this process's memory: a few microseconds, no lock that
anybody holds for long, no disk, no network. The writer takes what has gathered every few milliseconds and commits it
in one transaction (`synchronous=FULL`): from then on nothing is lost, not by `kill -9` nor by a power cut. What a kill
finds in memory is lost: the events of the last moments (`GATHER_S` and one commit). An orderly stop writes all of it.

**A disk that is full** or otherwise fails: the writer says so at once and every `SAY_AGAIN_S`, keeps what it has and
tries again; up to `queue_events_max` events wait in memory, more are dropped, newest first, counted and said. The
request is never touched.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jangbu.gateway.counts import Counts
from jangbu.gateway.posting import Poster
from jangbu.gateway.slots import Slot, take_slot, unowned
from producers.adapters import Options
from producers.adapters.litellm import adapt_payload
from producers.contract import EventRefused, encode_event, record_key
from producers.outbox import Accepted, Outbox, OutboxError
from producers.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jangbu.gateway.settings import GatewaySettings
    from producers.contract import UsageEvent

GATHER_S: Final = 0.01
"""How long the writer lets events gather after the first one: fewer commits, each shared by more events."""
GROUP_EVENTS_MAX: Final = 2_000
IDLE_S: Final = 0.5
PUBLISH_PACE_S: Final = 0.25
"""Between two batches to Kafka; a sum is in SQL within a second all the same."""
RETRY_S: Final = 1.0
SAY_AGAIN_S: Final = 30.0
STATUS_EVERY_S: Final = 1.0
LEFT_OVER_EVERY_S: Final = 60.0
LEFT_OVER_PATIENCE_S: Final = 5.0
_log = logging.getLogger("jangbu.gateway")


class Handed(NamedTuple):
    """What waits: named fields of a payload, when it was handed over (ms since 1970), and which attempt, if known."""

    fields: Mapping[str, Any]
    at_ms: int
    attempt: int | None


class Meter:
    """The metering of one process.

    settings: where events go.
    owed: asked now and then for calls that were made and never logged, each as (fields, attempt).
    """

    def __init__(
        self,
        settings: GatewaySettings,
        owed: Callable[[], Iterable[tuple[Mapping[str, Any], int]]] = tuple,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self.counts = Counts()
        self.on_written: Callable[[str, UsageEvent], None] | None = None
        self.more_status: Callable[[], dict[str, object]] | None = None
        self._fresh: list[tuple[str, UsageEvent]] = []
        self._begun_ms = time.time_ns() // 1_000_000
        self._settings = settings
        self._options = Options(settings.source, settings.department_from)
        self._owed = owed
        self._say = say
        self._queue: deque[Handed] = deque()
        self._unwritten: list[Accepted] = []
        self._arrived = threading.Event()
        self._stop_writing = threading.Event()
        self._stop_delivering = threading.Event()
        self._writing = threading.Lock()
        self._said_at_s: dict[str, float] = {}
        self._status_at_s = 0.0
        self._status_told: dict[str, object] = {}
        self._slot: Slot = take_slot(settings.directory)
        try:
            self._outbox = Outbox(self._slot.path)
        except OutboxError:
            self._slot.lock.release()
            raise
        self._closed = False
        self._threads = [
            threading.Thread(target=self._write, name="jangbu-outbox", daemon=True),
            threading.Thread(target=self._deliver, name="jangbu-delivery", daemon=True),
        ]

    @property
    def outbox_path(self) -> Path:
        """This process's outbox."""
        return self._slot.path

    def start(self) -> None:
        """Begin to write and to deliver."""
        for thread in self._threads:
            thread.start()

    def hand_over(self, fields: Mapping[str, Any], attempt: int | None = None) -> None:
        """Take a payload's fields. Never waits, never raises for what they hold."""
        if len(self._queue) >= self._settings.queue_events_max:
            self.counts.dropped += 1
            return
        self._queue.append(Handed(fields, time.time_ns() // 1_000_000, attempt))
        self.counts.handed_over += 1
        if self._closed:
            self._write_what_waits()  # the process ends: nothing else is asked of it, and no thread is left
        elif not self._arrived.is_set():
            self._arrived.set()

    def close(self, patience_s: float) -> None:
        """Write what waits, then deliver for at most `patience_s`; the rest stays in the outbox for the next start.

        What is handed over afterwards is written at once, by who hands it over.
        """
        if self._closed:
            return
        self._closed = True
        self._stop_writing.set()
        self._stop_delivering.set()
        self._arrived.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(patience_s + 1)
        self._write_what_waits()
        try:
            self._delivery().drain(patience_s)
            left = self._outbox.pending_count()
        except OutboxError as error:
            self._say(str(error))
        else:
            if left:
                self._say(f"{left} events wait in the outbox {self.outbox_path} for the next start")
        self._tell_status(time.monotonic(), now=True)

    def _write(self) -> None:
        while not self._stop_writing.is_set():
            self._arrived.wait(IDLE_S)
            self._arrived.clear()
            if self._queue:
                self._stop_writing.wait(GATHER_S)
            wrote = self._write_what_waits()
            now_s = time.monotonic()
            self._tell_status(now_s)
            if not wrote:
                self._stop_writing.wait(RETRY_S)
                self._arrived.set()

    def _write_what_waits(self) -> bool:
        """Commit what has gathered, group by group; False when the outbox could not take it."""
        with self._writing:
            while True:
                for fields, attempt in self._owed():
                    self._queue.append(Handed(fields, time.time_ns() // 1_000_000, attempt))
                    self.counts.owed += 1
                while self._queue and len(self._unwritten) < GROUP_EVENTS_MAX:
                    self._read(self._queue.popleft())
                    time.sleep(0)  # the interpreter's lock goes to the requests after every event
                if not self._unwritten:
                    self._say_drops()
                    return True
                try:
                    self._outbox.append(self._unwritten)
                except OutboxError as error:
                    waiting = len(self._unwritten) + len(self._queue)
                    self._say_now_and_then("outbox", f"{error}; {waiting} events wait in memory meanwhile")
                    self._say_drops()
                    return False
                self.counts.written += len(self._unwritten)
                self._unwritten = []
                self._tell_written()

    def _read(self, handed: Handed) -> None:
        """A payload's fields as the row that will stand in the outbox; one that cannot be is counted and named."""
        try:
            event = adapt_payload(handed.fields, self._options, handed.attempt)
            value = encode_event(event)
        except EventRefused as error:
            self.counts.refused += 1
            self._say_now_and_then(
                f"refused {error.field}",
                f"A {handed.fields.get('call_type')} cannot be counted: its {error.field} is refused ({error.code}); "
                f"{self.counts.refused} so far",
            )
        except Exception as error:  # noqa: BLE001 - one odd payload must not end the metering of all others
            self.counts.refused += 1
            said = f"A payload cannot be read ({type(error).__name__}); {self.counts.refused} so far"
            self._say_now_and_then("odd", said)
        else:
            self._unwritten.append(Accepted(record_key(event.source, event.id), value, handed.at_ms))
            if self.on_written is not None:
                self._fresh.append((str(handed.fields.get("litellm_call_id") or handed.fields.get("id")), event))

    def _tell_written(self) -> None:
        fresh, self._fresh = self._fresh, []
        for call_id, event in fresh:
            try:
                if self.on_written is not None:
                    self.on_written(call_id, event)
            except Exception:  # noqa: BLE001 - it is written, and that is what counts
                _log.exception("an event could not be settled")

    def left_over_is_gone(self) -> bool:
        """Whether nothing that was accepted before this process began waits in its outbox."""
        try:
            first = self._outbox.read_pending(rows_max=1)
        except OutboxError:
            return False
        return not first or first[0].accepted_ms >= self._begun_ms

    def _delivery(self, outbox: Outbox | None = None) -> Publisher | Poster:
        settings, what = self._settings, outbox or self._outbox
        if settings.broker is not None:
            return Publisher(what, settings.broker, settings.topic, say=self._say)
        return Poster(what, settings.url or "", settings.token or "", say=self._say)

    def _deliver(self) -> None:
        threading.Thread(target=self._deliver_left_over, name="jangbu-left-over", daemon=True).start()
        while not self._stop_delivering.is_set():
            try:
                delivery = self._delivery()
                if isinstance(delivery, Publisher):
                    delivery.run(self._stop_delivering, pace_s=PUBLISH_PACE_S)
                else:
                    delivery.run(self._stop_delivering)
            except Exception as error:  # noqa: BLE001 - a full disk, or what nobody thought of: said, and tried again
                self._say_now_and_then("delivery", f"Events are not delivered now: {error or type(error).__name__}")
                self._stop_delivering.wait(RETRY_S)

    def _deliver_left_over(self) -> None:
        """What killed processes left in outboxes that nobody has taken again."""
        while not self._stop_delivering.is_set():
            for slot in unowned(self._settings.directory):
                if self._stop_delivering.is_set():
                    return
                try:
                    with Outbox(slot.path) as outbox:
                        left = outbox.pending_count()
                        if left:
                            self._say(f"{left} events were left in {slot.path} by a process that is gone: they go now")
                            self._delivery(outbox).drain(LEFT_OVER_PATIENCE_S)
                except OSError as error:
                    self._say_now_and_then(str(slot.path), str(error))
            self._stop_delivering.wait(LEFT_OVER_EVERY_S)

    def _say_drops(self) -> None:
        if self.counts.dropped:
            self._say_now_and_then(
                f"dropped {self.counts.dropped}",
                f"{self.counts.dropped} events are LOST since the start: more than JANGBU_GATEWAY_QUEUE_EVENTS_MAX "
                f"({self._settings.queue_events_max}) waited in memory because the outbox {self.outbox_path} could not "
                "be written; bring them from LiteLLM's log with `jangbu ingest --format litellm` under the same source",
            )

    def _say_now_and_then(self, about: str, sentence: str) -> None:
        now_s = time.monotonic()
        if now_s - self._said_at_s.get(about, -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said_at_s[about] = now_s
            self._say(sentence)
        if len(self._said_at_s) > 1_000:
            self._said_at_s.clear()

    def _tell_status(self, now_s: float, *, now: bool = False) -> None:
        """Write the counters beside the outbox, where monitoring can read them."""
        if not now and now_s - self._status_at_s < STATUS_EVERY_S:
            return
        told: dict[str, object] = {**self.counts.document(), "queued": len(self._queue)}
        if self.more_status is not None:
            told["quota"] = self.more_status()
        self._status_at_s = now_s
        if told == self._status_told:
            return
        path = self.outbox_path.with_suffix(".status.json")
        try:
            fresh = path.with_suffix(".fresh")
            fresh.write_text(json.dumps(told) + "\n", encoding="utf-8")
            fresh.replace(path)
        except OSError:  # a full disk: the writer says it, and the next status comes in a second
            return
        self._status_told = told
