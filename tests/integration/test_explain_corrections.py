"""A correction walked back: the events that were read between two closes, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.explaining.books import MonthBooks
from billing.explaining.walk import Page, explain_item, line_events
from billing.store import snapshot
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls


def explained(world: PeriodWorld, month: str) -> dict[str, Any]:
    """The first correction of D001 in a month; the events as CSV lists them are the same."""
    with snapshot(world.reader) as connection:
        books = MonthBooks.read(connection, month, world.house.policy)
        found = explain_item(books, "D001", "adjustments/1", Page(20, 0), with_users=True)
        listed = [one.event_id for one in line_events(books, "D001", "adjustments/1", Page(None, 0))]
    assert listed == [row["id"] for row in found["events"]["rows"]]
    return found


def test_each_late_event_is_below_one_correction(migrated_database: DatabaseUrls) -> None:
    """Charged once, in the month after the close that it missed; a closed month goes on to say the same."""
    with period_world(migrated_database) as world:
        world.house.prices(PRICE.format(1, 1))
        world.use(world.one("in-time", OCTOBER, "D001", 500))
        world.close("2026-10")
        for number, (month, tokens) in enumerate((("2026-11", 1_000), ("2026-12", 30))):
            world.use(world.one(f"late-{number}", OCTOBER, "D001", tokens), world.one(f"d-{number}", OCTOBER, "D2", 7))
            found = explained(world, month)
            assert (found["item"]["reason"], found["item"]["quantity"]) == ("LATE_USAGE", str(tokens))
            (row,) = found["events"]["rows"]
            assert (row["id"], row["quantity"], row["partition"]) == (f"late-{number}", str(tokens), 0)
            assert row["offset"] == 1 + 2 * number
            assert [one["agrees"] for one in found["checks"] if "after the close" in one["step"]] == [True]
            assert found["rests_on"]["price_row"]["price"] == "1"
            world.close(month)
            closed = explained(world, month)
            assert (closed["status"], closed["events"]) == ("closed", found["events"])
        assert explained(world, "2026-11")["events"]["count"] == "1", "what was read later is not below it"
