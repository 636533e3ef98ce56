"""What this process has metered, and how long a hand-over took: counters since the start, for the status file."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

LIMITS_US: Final = (10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 100_000)
"""Upper limits of the classes that hand-over times are counted in, microseconds."""


@dataclass(slots=True)
class Counts:
    """Events unless the name says otherwise."""

    handed_over: int = 0
    written: int = 0
    owed: int = 0
    """Of the written: calls that LiteLLM had not logged."""
    late: int = 0
    """Logged by LiteLLM after the event of that call had been made as one that is owed; no second one is made."""
    no_charge: int = 0
    """Logged by LiteLLM, and no call to a vendor: refused before one was made, or a file or batch handed in."""
    refused: int = 0
    """Could not be read as an event; each is named in the log."""
    dropped: int = 0
    """Lost: more waited in memory than may, because the outbox could not be written."""
    times: list[int] = field(default_factory=lambda: [0] * (len(LIMITS_US) + 1))
    decisions: list[int] = field(default_factory=lambda: [0] * (len(LIMITS_US) + 1))

    def took(self, seconds: float) -> None:
        """A hand-over took so long."""
        self.times[bisect_left(LIMITS_US, seconds * 1e6)] += 1

    def decided(self, seconds: float) -> None:
        """A decision about a call took so long."""
        self.decisions[bisect_left(LIMITS_US, seconds * 1e6)] += 1

    def time_us(self, share: float) -> int | None:
        """The limit (microseconds) below which this share of the hand-overs stayed; None: unknown, or above all."""
        return _limit_us(self.times, share)

    def document(self) -> dict[str, int | None]:
        """The counters by name, with the median and the 99th percentile of the hand-over."""
        names = ("handed_over", "written", "owed", "late", "no_charge", "refused", "dropped")
        told: dict[str, int | None] = {name: getattr(self, name) for name in names}
        return {
            **told,
            "hand_over_p50_us": self.time_us(0.5),
            "hand_over_p99_us": self.time_us(0.99),
            "decision_p50_us": _limit_us(self.decisions, 0.5),
            "decision_p99_us": _limit_us(self.decisions, 0.99),
        }


def _limit_us(times: list[int], share: float) -> int | None:
    total = sum(times)
    seen = 0
    for limit_us, count in zip(LIMITS_US, times, strict=False):
        seen += count
        if total and seen >= share * total:
            return limit_us
    return None
