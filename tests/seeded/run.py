"""`make seed-faults`: months with planted faults through the importers and reconciliation, scored by class.

Exit codes: 0 every class and shape reaches its mark; 7 one does not, a clean month has a break, or a proof is not 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.seeded.catalogue import SHAPES
from tests.seeded.scoring import Score, add_score, reconciled
from tests.seeded.seeding import seeded_month

MONTHS = 2_280
SEED = 20261122
MARK = Fraction(99, 100)
PAGE = """# Seeded faults: the score of reconciliation

`{command}` wrote this page.

Months are made by code that shares nothing with importers, rating and reconciliation (tests/seeded): whole numbers, an
arithmetic of its own, its own writer of each file. Faults of every class that a file can show are planted, alone,
several in groups of their own, several in one group, and on top of others (a page that came twice); use of the hours
at the month's edges, days that begin at another hour, for the whole month or from a day on, several accounts, a model
under another name; one month in ten of each shape is clean. The files go through
the real importers into the real reconciliation. An amount counts as right as far as a break of its class stands at its
place: a
group where money comes by group, a day where it comes as day totals, the month where it comes as one; every planted
amount weighs alike, and the share in the right class is cut, not rounded. Where no file tells tokens, QUANTITY, PRICE
and UNIT_SCALE are one class. Days of totals hold one unknown model and nothing else: one sum cannot tell two unknowns.

The command fails where a class of a shape is below 99 %, where a clean month has anything but ROUNDING, or where a
proof is not exactly 0.

{table}
"""


def scored(seed: int, months: int, shape: str | None = None) -> dict[str, Score]:
    """The scores by shape."""
    scores: dict[str, Score] = defaultdict(Score)
    for number in range(months):
        month = seeded_month(seed, number)
        if shape is None or shape in month.shape.name:
            files = month.shape.write(month)
            add_score(scores[month.shape.name], month, reconciled(month, files))
    return scores


def mean(shares: list[Fraction]) -> Fraction:
    """The part of the planted amounts in the right class."""
    return sum(shares, Fraction(0)) / len(shares)


def failures(scores: dict[str, Score]) -> list[str]:
    """What does not reach its mark, in words."""
    said = []
    for name, score in scores.items():
        said += [f"{name}: the proof is not 0 in month {number}" for number in score.proofs_broken]
        said += score.strays
        said += [f"{name}: {cls} {_percent(mean(shares))}" for cls, shares in sorted(score.share.items())
                 if mean(shares) < MARK]  # fmt: skip
    return said


def report(scores: dict[str, Score]) -> str:
    """The table by shape and class, in Markdown."""
    rows = ["| shape | months | clean | class | amounts | in the right class |", "|---|--:|--:|---|--:|--:|"]
    for shape in SHAPES:
        score = scores.get(shape.name)
        if score is None:
            continue
        for place, (cls, shares) in enumerate(sorted(score.share.items())):
            name = (shape.name, str(score.months), str(score.clean)) if place == 0 else ("", "", "")
            rows.append(f"| {' | '.join(name)} | {cls} | {len(shares)} | {_percent(mean(shares))} |")
    everything = [share for score in scores.values() for shares in score.share.values() for share in shares]
    months, clean = (sum(getattr(score, name) for score in scores.values()) for name in ("months", "clean"))
    rows.append(f"| all | {months} | {clean} | | {len(everything)} | {_percent(mean(everything))} |")
    return "\n".join(rows)


def _percent(part: Fraction) -> str:
    """Two digits, cut, so that 100.00 % is nothing less."""
    return f"{int(part * 10_000) / 100:.2f} %"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--months", type=int, default=MONTHS)
    parser.add_argument("--shape", help="only shapes with this in their name")
    parser.add_argument("--out", type=Path, help="write the table here too, as a page of docs/")
    parser.add_argument("--show", type=int, default=20, help="how many misses to print")
    asked = parser.parse_args()
    began = time.monotonic()
    scores = scored(asked.seed, asked.months, asked.shape)
    print(report(scores))
    if asked.out is not None:
        command = f"make seed-faults ARGS='--seed {asked.seed} --months {asked.months} --out {asked.out}'"
        asked.out.write_text(PAGE.format(command=command, table=report(scores)), encoding="utf-8")
    broken = failures(scores)
    misses = [line for score in scores.values() for line in score.missed]
    for line in misses[: asked.show]:
        print(f"missed: {line}", file=sys.stderr)
    for line in broken:
        print(f"FAILED {line}", file=sys.stderr)
    print(f"{len(misses)} misses, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 7 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
