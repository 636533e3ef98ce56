"""Figures and how they are told: ratios with their aims, never bare times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Aim = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio. `spread` is the lowest and highest of the rounds; `aim` None: told, not judged."""

    what: str
    ratio: float
    aim: tuple[Aim, float] | None
    beside: str
    spread: tuple[float, float] | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.aim is None:
            return None
        return self.ratio >= self.aim[1] if self.aim[0] == "at least" else self.ratio <= self.aim[1]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one part of the benchmarks found out; `notes` stand below the table, a sentence each."""

    figures: list[Figure]
    notes: list[str]


def of_rounds(what: str, ours: Sequence[float], theirs: Sequence[float], aim: tuple[Aim, float] | None,
              beside: str) -> Figure:
    """The median of the ratios of each round: what disturbs the machine meets both sides of a round alike."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Figure(what, median(ratios), aim, beside, (min(ratios), max(ratios)))


def thousand(events_per_s: float) -> str:
    """A speed of this machine."""
    return f"{events_per_s / 1000:.1f} k/s"


def table(figures: Sequence[Figure]) -> str:
    """All figures as a Markdown table that is readable as it stands."""
    head = ("What", "Ratio", "Rounds", "Aim", "", "On this machine")
    rows = [head, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    digits = 1 if figure.ratio >= 3 else 2
    spread = "" if figure.spread is None else f"{figure.spread[0]:.{digits}f} to {figure.spread[1]:.{digits}f}"
    aim = "" if figure.aim is None else f"{figure.aim[0]} {figure.aim[1]:g}"
    verdict = {None: "", True: "met", False: "NOT MET"}[figure.is_met]
    return (figure.what, f"{figure.ratio:.{digits}f}", spread, aim, verdict, figure.beside)
