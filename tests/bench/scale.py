"""How much of everything a run does."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything. `limit_s` bounds the default run; `speed_s` ends the rounds of the speed part early;
    `month_s` is what each of the parts that run apart may take beyond `limit_s`."""

    events: int
    plain_events: int
    rounds: int
    growth_events: int
    memory_events: int
    offered_s: float
    speed_s: float
    limit_s: float
    month_events: int
    month_s: float
    partitions: int = 4

    def of_events(self, events: int) -> Scale:
        """The same with another backlog; 15 % for the plain agent, five, ten and twenty times for the others."""
        return replace(
            self, events=events, plain_events=max(5_000, events * 15 // 100), growth_events=20 * events,
            memory_events=5 * events, month_events=10 * events,
        )  # fmt: skip


FULL = Scale(1_000_000, 150_000, 3, 20_000_000, 5_000_000, 30.0, speed_s=480.0, limit_s=1200.0,
             month_events=10_000_000, month_s=2400.0)  # fmt: skip
QUICK = Scale(200_000, 30_000, 2, 2_000_000, 500_000, 10.0, speed_s=70.0, limit_s=180.0,
              month_events=300_000, month_s=180.0)  # fmt: skip
