"""What the routes share: settings of the door, who may send, how much, the outbox behind it, and the counts."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from jangbu.web.answers import Refused
from producers.contract import TimeBounds
from producers.door.counts import Depth, DoorCounts
from producers.door.group_commit import GroupWriter, Overloaded, WriterEnded
from producers.door.rate import EventRate
from producers.door.reading import EventReader
from producers.door.tokens import Bearer, TokenTable
from producers.outbox import Accepted, Outbox, OutboxError
from producers.outbox_view import OutboxView

SAY_AGAIN_S: Final = 30.0
LARGE_BODY_BYTES: Final = 128 * 1024
"""A body from here on is read in a thread, so that small requests need not wait for it."""
_READING_THREADS: Final = 2
_log = logging.getLogger("jangbu.door")


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How much one request and one sender may bring."""

    body_bytes_max: int = 16 * 1024 * 1024
    body_seconds_max: int = 30
    batch_events_max: int = 10_000
    events_per_second: int = 100_000


class Door:
    """One outbox, open to HTTP. Usable from one event loop.

    Args:
        outbox: where accepted events are durable.
        tokens: gives the table that is valid now.
        gateway: the source of what does not say one itself; None: not told.
        now_ms: the wall clock, milliseconds since 1970.
    """

    def __init__(
        self,
        outbox: Outbox,
        tokens: Callable[[], TokenTable],
        limits: DoorLimits,
        bounds: TimeBounds,
        *,
        gateway: str | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.limits = limits
        self.bounds = bounds
        self.gateway = gateway
        self.now_ms = now_ms
        self.counts = DoorCounts()
        self.reader = EventReader()
        self._view = OutboxView(outbox.path)
        self._tokens = tokens
        self._rate = EventRate(limits.events_per_second)
        self._writer = GroupWriter(outbox.append)
        self._said_at_s = -math.inf
        self.threads = ThreadPoolExecutor(_READING_THREADS, thread_name_prefix="body")

    def bearer(self, authorization: str | None) -> Bearer:
        """Who sends. Raises Refused (401)."""
        bearer = self._tokens().bearer_of(authorization)
        if bearer is None:
            raise Refused(
                401,
                "token",
                "the token is absent or none of ours: send `Authorization: Bearer TOKEN` (JANGBU_TOKEN, DATA_DIR/token "
                "or the file of tokens)",
                headers={"www-authenticate": "Bearer"},
            )
        return bearer

    def check_rate(self, bearer: Bearer) -> None:
        """Raises Refused (429) where the sender has brought more than it may for now."""
        wait_s = self._rate.wait_s(bearer.name, time.monotonic())
        if wait_s > 0:
            raise Refused(
                429,
                "rate",
                f"more than {self.limits.events_per_second} events a second came with this token: "
                "send again after Retry-After",
                headers={"retry-after": str(math.ceil(wait_s))},
            )

    async def take(self, rows: Sequence[Accepted], bearer: Bearer) -> None:
        """Return once the rows are durable. Raises Refused (503) where nothing of them was taken."""
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()

        def done(error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_resolve, durable, error)

        try:
            if rows:
                self._rate.take(bearer.name, len(rows), time.monotonic())
                self._writer.offer(rows, done)
                await durable
        except Overloaded:
            raise self._away("too many events wait for the disk; nothing was accepted: send again later") from None
        except WriterEnded:
            raise self._away("the server is ending; nothing was accepted: send again later") from None
        except OutboxError as error:
            self._say(error)
            raise self._away("the outbox cannot be written; nothing was accepted: send again later") from None
        self.counts.accepted_events += len(rows)
        self.counts.accepted_requests += 1

    def depth(self) -> Depth | None:
        """The outbox now; None where it cannot be read. Waits for no writer."""
        found = self._view.waiting()
        if found is None:
            return None
        return Depth(found.rows, 0.0 if found.oldest_ms is None else max(0, self.now_ms() - found.oldest_ms) / 1000)

    def is_well(self) -> bool:
        """Whether the outbox can be read; answered at once, also while a long write runs."""
        return self._view.is_readable()

    def page_of_counts(self) -> str:
        """Everything that is counted, for Prometheus."""
        return self.counts.text(self.depth(), self._writer.commits)

    def close(self) -> None:
        """Write what has been offered, and end."""
        self._writer.close()
        self.threads.shutdown()
        self._view.close()

    def _away(self, sentence: str) -> Refused:
        return Refused(503, "outbox", sentence, headers={"retry-after": "5"})

    def _say(self, error: OutboxError) -> None:
        """Loudly, and not with every request."""
        if time.monotonic() - self._said_at_s >= SAY_AGAIN_S:
            self._said_at_s = time.monotonic()
            _log.error("nothing is accepted: %s", error)


def _resolve(future: asyncio.Future[None], error: BaseException | None) -> None:
    """Tell who waits, unless its client has gone meanwhile."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
