"""A file's lines -> the outbox: adapt, check against the clock, take in batches, remember how far.

Pure but for the outbox: lines come from an iterator, the time from a function.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from producers.contract import EventRefused, TimeBounds, check_time, encode_event, record_key, time_us_of
from producers.file_progress import FileProgress, Progress, Rejection
from producers.outbox import Accepted, OutboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from producers.adapters import Adapter, Options
    from producers.contract import UsageEvent
    from producers.lines import Line, Place

BATCH_EVENTS = 5_000
BATCH_BYTES = 8 * 1024 * 1024
RAW_SHOWN_BYTES_MAX = 64 * 1024


class _Taker(Protocol):
    def take(
        self, before: Progress, events: list[Accepted], rejections: list[Rejection], to: Place
    ) -> Progress: ...


@dataclass(slots=True)
class _Batch:
    """Lines that are read and not yet durable; `now_ms` is the moment at which all of them are accepted."""

    now_ms: int
    events: list[Accepted] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Feeder:
    """How lines become events.

    now_ms: milliseconds since 1970; a batch's events are judged against it and carry it into Kafka.
    """

    adapter: Adapter
    options: Options
    bounds: TimeBounds
    now_ms: Callable[[], int]

    def feed(
        self, chunks: Iterator[list[Line]], progress: FileProgress | _Taker, begin: Progress, *, eager: bool
    ) -> Iterator[Progress]:
        """Take every line; yields how far it is after each durable batch.

        eager: take what there is after each chunk, for a pipe whose writer may pause. Raises what reading raises,
        after the lines before it were taken.
        """
        done = begin
        place = begin.place
        batch = _Batch(self.now_ms())
        try:
            for lines in chunks:
                if not batch.events and not batch.rejections:
                    batch.now_ms = self.now_ms()  # a pipe may have paused
                for line in lines:
                    self._add(batch, line)
                    place = line.after
                    if len(batch.events) >= BATCH_EVENTS or batch.size_bytes >= BATCH_BYTES:
                        done = progress.take(done, batch.events, batch.rejections, place)
                        yield done
                        batch = _Batch(self.now_ms())
                if eager and place != done.place:
                    done = progress.take(done, batch.events, batch.rejections, place)
                    yield done
                    batch = _Batch(self.now_ms())
        except OutboxError:
            raise
        except OSError:
            if place != done.place:
                yield progress.take(done, batch.events, batch.rejections, place)
            raise
        if place != done.place:
            yield progress.take(done, batch.events, batch.rejections, place)

    def _add(self, batch: _Batch, line: Line) -> None:
        batch.size_bytes += line.bytes_long
        try:
            batch.events.extend(accepted(event, batch.now_ms) for event in self._events(line, batch.now_ms))
        except EventRefused as error:
            batch.rejections.append(Rejection(line.number, error.code, str(error), self._kept(line)))

    def _events(self, line: Line, now_ms: int) -> list[UsageEvent]:
        """A line's events, all of them or none. Raises EventRefused."""
        if line.raw is None:
            limit = self.adapter.line_bytes_max
            raise EventRefused("oversized", "line", f"{line.bytes_long} bytes", f"send at most {limit} bytes")
        events = self.adapter.adapt(line.raw, self.options)
        for event in events:
            check_time(time_us_of(event), now_ms * 1000, self.bounds)
        return events

    def _kept(self, line: Line) -> str | None:
        """What of a refused line may be written down."""
        kept = None if line.raw is None else self.adapter.redact(line.raw)
        return None if kept is None else kept[:RAW_SHOWN_BYTES_MAX].decode("utf-8", "backslashreplace")


def accepted(event: UsageEvent, now_ms: int) -> Accepted:
    """An event as the outbox takes it."""
    return Accepted(record_key(event.source, event.id), encode_event(event), now_ms)
