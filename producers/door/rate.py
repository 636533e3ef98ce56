"""How many events a sender may bring a second: one bucket a sender, filled evenly. Pure; the clock is a parameter."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class EventRate:
    """`events_per_second` on average, and a bucket of `seconds_of_burst` times as many at once.

    A body is let in while its sender's bucket is not empty and is taken from it whole, so that a large batch is slowed
    down afterwards and never refused for ever.
    """

    events_per_second: int
    seconds_of_burst: int = 2
    _levels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def wait_s(self, sender: str, now_s: float) -> float:
        """0 where the sender may bring events now; else how many seconds until then."""
        level = self._level(sender, now_s)
        return 0.0 if level > 0 else (1 - level) / self.events_per_second

    def take(self, sender: str, events: int, now_s: float) -> None:
        """Count events that were let in."""
        self._levels[sender] = (self._level(sender, now_s) - events, now_s)

    def _level(self, sender: str, now_s: float) -> float:
        full = float(self.events_per_second * self.seconds_of_burst)
        level, then_s = self._levels.get(sender, (full, now_s))
        return min(full, level + max(0.0, now_s - then_s) * self.events_per_second)
