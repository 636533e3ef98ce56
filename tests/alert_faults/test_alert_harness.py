"""The harness of alerts itself: a short run is clean, and planted defects do not get past it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.alert_faults.month import Month
from tests.alert_faults.planted import DEFECTS
from tests.alert_faults.post_office import AT_GREETING, AT_MESSAGES, AT_RECIPIENTS
from tests.alert_faults.run import next_month, run

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]


def short_month(seed: int, days: int) -> Month:
    return Month(seed, 200, days, next_month(datetime.now(UTC).date()), 800)


def test_a_short_run_is_clean(migrated_database: DatabaseUrls, tmp_path: Path) -> None:
    report = run(migrated_database, tmp_path, short_month(7, 2), kill_every_s=0.8)
    assert report.violations == [], report.text()
    assert report.due > 20
    assert report.kills["alerter"] > 0
    assert report.mischief.keys() == {name for name, _share in (*AT_RECIPIENTS, *AT_MESSAGES, AT_GREETING)}


@pytest.mark.parametrize(("defect", "says"), [(DEFECTS[0], "is due and not kept"), (DEFECTS[1], "ids")])
def test_a_planted_defect_is_found(migrated_database: DatabaseUrls, tmp_path: Path, defect: str, says: str) -> None:
    report = run(migrated_database, tmp_path, short_month(7, 1), kill_every_s=60.0, defect=defect)
    assert any(says in one for one in report.violations), report.text()
