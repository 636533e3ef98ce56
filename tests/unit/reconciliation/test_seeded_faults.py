"""A small part of `make seed-faults`: every shape and class, and a harness that notices a defect of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from billing.reconciliation import causes
from tests.seeded import seeding
from tests.seeded.catalogue import SHAPES
from tests.seeded.run import failures, report, scored

if TYPE_CHECKING:
    import pytest

SEED = 7
MONTHS = 15 * len(SHAPES)


def test_planted_faults_are_found_in_their_class() -> None:
    scores = scored(SEED, MONTHS)
    assert failures(scores) == []
    assert set(scores) == {shape.name for shape in SHAPES}
    assert all(score.clean for score in scores.values()), "some months of each shape are clean"
    planted = {cls for score in scores.values() for cls in score.share}
    assert planted >= {"TAX", "CREDIT_OR_DISCOUNT", "FEE", "DUPLICATE", "UNKNOWN_MODEL", "PERIOD_EDGE", "BYPASS",
                       "NOT_BILLED", "UNIT_SCALE", "UNIT_CLASS", "QUANTITY", "PRICE", "FX", "UNEXPLAINED"}  # fmt: skip
    assert "| 100.00 % |" in report(scores).splitlines()[-1]


def test_a_planted_defect_of_the_engine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the test for another split its money stands in QUANTITY: the sums still prove, the score does not."""
    monkeypatch.setattr(causes, "take_splits", lambda _folded, _policy: [])
    broken = failures(scored(SEED, MONTHS))
    assert any("UNIT_CLASS 0.00 %" in line for line in broken)
    assert not any("proof" in line for line in broken)


def test_what_makes_the_months_imports_nothing_of_billing() -> None:
    directory = Path(seeding.__file__).parent
    for name in ("months", "shapes", "clouds", "catalogue", "planting", "seeding"):
        text = (directory / f"{name}.py").read_text(encoding="utf-8")
        assert "billing." not in text, name
