"""What the door has done, counted, and as Prometheus reads it (text format 0.0.4). Names of people never stand here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Depth(NamedTuple):
    """The outbox now: rows that no broker has, and how long the oldest of them has waited (seconds; 0: none waits)."""

    rows: int
    oldest_s: float


@dataclass(slots=True)
class DoorCounts:
    """Counters since the start. Reasons are the codes of refusals, a fixed set."""

    accepted_events: int = 0
    accepted_requests: int = 0
    ignored_spans: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def text(self, depth: Depth | None, commits: int) -> str:
        """One page of metrics; without the outbox's figures where it cannot be read."""
        lines = [
            *_metric("jangbu_http_events_accepted_total", "counter", "Events that are durable.", self.accepted_events),
            *_metric("jangbu_http_requests_accepted_total", "counter", "Requests taken.", self.accepted_requests),
            *_metric("jangbu_http_spans_ignored_total", "counter", "Spans that are no AI call.", self.ignored_spans),
            *_metric("jangbu_http_commits_total", "counter", "Commits of the outbox, one fsync each.", commits),
            "# HELP jangbu_http_refused_total Events and requests refused, by reason.",
            "# TYPE jangbu_http_refused_total counter",
        ]
        lines += [f'jangbu_http_refused_total{{reason="{code}"}} {self.refused[code]}' for code in sorted(self.refused)]
        lines += _metric("jangbu_outbox_readable", "gauge", "1 where the outbox can be read.", int(depth is not None))
        if depth is not None:
            lines += _metric("jangbu_outbox_pending_events", "gauge", "Events that no broker has yet.", depth.rows)
            oldest = f"{depth.oldest_s:.3f}"
            lines += _metric("jangbu_outbox_oldest_seconds", "gauge", "How long the oldest of them waits.", oldest)
        return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, said: str, value: object) -> list[str]:
    return [f"# HELP {name} {said}", f"# TYPE {name} {kind}", f"{name} {value}"]
