"""Events of a closed month that came after its close stand on the page of data quality, others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.period_world import OCTOBER, PRICE, period_world
from tests.web_world import running_web, signed_in

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

NOVEMBER = "2026-11-03T10:00:00+09:00"
LATE_AT = "2026-10-31T23:30:00+09:00"
"""Still October in Seoul, and in UTC too; November's first hour is not."""
EDGE = "2026-11-01T00:30:00+09:00"


def test_late_events_are_those_read_after_the_close(module_database: DatabaseUrls, tmp_path: Path) -> None:
    with period_world(module_database) as world:
        world.house.prices(PRICE.format(2, 1))
        world.use(world.one("in-time", OCTOBER, "D001", 5), world.one("early", NOVEMBER, "D001", 5))
        with running_web(module_database, tmp_path) as web:
            platform = signed_in(web, "platform")
            assert platform.get("/api/v1/data-quality?late=1").json()["late"] is None
            assert "No month is closed yet" in platform.get("/data-quality").text
            world.close("2026-10")
            assert platform.get("/api/v1/data-quality").json()["late"] is None, "not asked"
            assert "Look for late events" in platform.get("/data-quality").text
            assert platform.get("/api/v1/data-quality?late=1").json()["late"] == []
            world.use(world.one("late", LATE_AT, "D001", 7), world.one("edge", EDGE, "D001", 7))
            (late,) = platform.get("/api/v1/data-quality?late=1").json()["late"]
            assert (late["month"], late["events"]) == ("2026-10", 1)
            page = platform.get("/data-quality?late=1").text
            assert late["source"] in page
            assert "closed months stand as they were read" not in page
