"""Month stories of closes and corrections: given events, prices and rosters; when months close and more comes; then
these figures, exactly. Worked out by hand beside each assertion."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from billing.ledger.close import MonthBlocked, MonthClosed
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> Iterator[PeriodWorld]:
    """One token of gpt-x costs 1.5 won."""
    with period_world(migrated_database) as made:
        made.house.prices(PRICE.format("1.5", "1"))
        yield made


def test_late_events_become_corrections_of_the_next_month(world: PeriodWorld) -> None:
    world.use(world.one("a", OCTOBER, "D1", 1001), world.one("b", "2026-10-31T23:59:59+09:00", "D2", 3))
    closed = world.close("2026-10")
    # 1501.5 + 4.5 = 1506; D1 gets 1502 (equal remainders: the first code), D2 4.
    assert {one["department"]: one["total"] for one in closed.documents} == {"D1": "1502", "D2": "4"}
    before = world.documents("2026-10")

    world.use(world.one("late-1", OCTOBER, "D1", 1), world.one("c", "2026-11-02T10:00:00+09:00", "D1", 2))
    world.use(world.one("late-2", OCTOBER, "D3", 10), partition=2)
    assert world.documents("2026-10") == before  # not a byte of it moves
    november = world.documents("2026-11")
    (late,) = november["D1"]["adjustments"]
    assert (late["reason"], late["origin_period"], late["amount_exact"]) == ("LATE_USAGE", "2026-10", "1.5")
    assert late["origin"] == "2026-10: 1 event after offset 1 of partition 0"
    assert late["content_hash"] == before["D1"]["content_hash"]
    # D1: 3 + 1.5 = 4.5; D3: 15; together 19.5 -> 20 (half to even), the odd half goes to the only remainder.
    assert {code: one["total"] for code, one in november.items()} == {"D1": "5", "D3": "15"}
    assert november["D3"]["adjustments"][0]["content_hash"] == world.organisation("2026-10")["content_hash"]

    world.close("2026-11")
    world.use(world.one("late-3", "2026-10-21T10:00:00+09:00", "D1", 1))
    (again,) = world.documents("2026-12")["D1"]["adjustments"]
    assert (again["origin_period"], again["amount_exact"], again["quantity"]) == ("2026-10", "1.5", "1")
    assert again["origin"] == "2026-10: 1 event after offset 3 of partition 0"
    world.close("2026-12")
    assert world.documents("2027-01") == {}
    assert world.laws() == []
    # Nothing is lost by rounding: all that was booked for October is exactly what it comes to now.
    booked = world.ask("""select sum(l.amount_exact::numeric)
                          from ledger_line l join ledger_entry e on e.id = l.entry_id
                          where e.origin_month = '2026-10' and l.account = 'cost'""")
    assert [str(value) for (value,) in booked] == ["1524.0"]  # (1001 + 3 + 1 + 10 + 1) x 1.5


def test_an_unpriced_model_gets_its_price_after_the_close(world: PeriodWorld) -> None:
    world.use(world.one("a", OCTOBER, "D1", 100), world.one("b", OCTOBER, "D1", 70, model="new"))
    with pytest.raises(MonthBlocked, match="70 openai/new input_tokens") as blocked:
        world.close("2026-10")
    assert [check.name for check in blocked.value.checks] == ["unpriced"]
    assert world.ask("select count(*) from period_close") == [(0,)]
    world.close("2026-10", "unpriced")
    assert world.documents("2026-10")["D1"]["total"] == "150"
    assert world.documents("2026-11") == {}

    world.house.prices("openai,new,input_tokens,,,,KRW,3,10,2026-01-01T00:00:00Z,,letter of November")
    (item,) = world.documents("2026-11")["D1"]["adjustments"]
    assert (item["reason"], item["price_id"]) == ("PRICE_CORRECTION", "P-000002")
    assert (item["quantity"], item["amount"]) == ("70", "21")
    assert item["origin"] == "2026-10: price row P-000002, where the closed statement had no price"
    world.close("2026-11")
    assert world.documents("2026-12") == {}
    assert world.laws() == []


def test_a_price_that_was_wrong_is_corrected_row_by_row(world: PeriodWorld) -> None:
    world.use(world.one("a", OCTOBER, "D1", 100))
    world.close("2026-10")
    world.house.prices(PRICE.format("2", "1"))  # the same row again: the later one counts
    items = world.documents("2026-11")["D1"]["adjustments"]
    assert [(one["price_id"], one["amount"], one["reason"]) for one in items] == [
        ("P-000001", "-150", "PRICE_CORRECTION"), ("P-000002", "200", "PRICE_CORRECTION")
    ]  # fmt: skip
    assert items[0]["origin"] == "2026-10: no longer price row P-000001, now P-000002"
    assert world.documents("2026-11")["D1"]["total"] == "50"


def test_a_rate_that_was_wrong(world: PeriodWorld) -> None:
    world.house.prices("openai,usd,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter")
    world.house.fx("2026-10-01,USD,KRW,1400,bank")
    world.use(world.one("a", OCTOBER, "D1", 1000, model="usd"))
    world.close("2026-10")
    world.house.fx("2026-10-03,USD,KRW,1390.5,bank")
    (item,) = world.documents("2026-11")["D1"]["adjustments"]
    assert (item["reason"], item["amount_exact"]) == ("RATE_CORRECTION", "-9.5")
    assert item["origin"] == "2026-10: exchange rate 1390.5 of 2026-10-03 instead of 1400 of 2026-10-01"
    world.house.fx("2026-12-03,USD,KRW,1,bank")  # another month's rate changes nothing here
    assert world.documents("2026-11")["D1"]["total"] == "-10"  # -9.5, half to even


def test_a_year_end(world: PeriodWorld) -> None:
    """The last hour of the year in Seoul is 15:00 UTC; its late event is corrected in January of the next."""
    world.use(world.one("a", "2026-12-31T23:59:59+09:00", "D1", 2))
    world.use(world.one("b", "2027-01-01T00:00:00+09:00", "D1", 4))
    world.close("2026-12")
    assert world.documents("2026-12")["D1"]["total"] == "3"
    world.use(world.one("late", "2026-12-31T23:00:00+09:00", "D1", 8))
    world.close("2027-01")
    january = world.documents("2027-01")["D1"]
    assert (january["lines"][0]["amount"], january["adjustments"][0]["amount"], january["total"]) == ("6", "12", "18")
    assert january["adjustments"][0]["origin_period"] == "2026-12"
    assert world.laws() == []


def test_a_department_merged_on_the_15th_is_told_after_the_close(world: PeriodWorld) -> None:
    """D2 became D1 at midnight of the 15th; the roster said so only in November."""
    roster(world, "u-1,D2,2026-01-01")
    for day, tokens in ((14, 100), (15, 40)):
        world.use(world.one(f"d{day}", f"2026-10-{day}T00:00:00+09:00", None, tokens))
    world.close("2026-10")
    assert {code: one["total"] for code, one in world.documents("2026-10").items()} == {"D2": "210"}
    roster(world, "u-1,D1,2026-10-15")
    november = world.documents("2026-11")
    assert {code: [(one["reason"], one["amount"], one["quantity"]) for one in document["adjustments"]]
            for code, document in november.items()} == {
        "D1": [("ATTRIBUTION_CORRECTION", "60", "40")], "D2": [("ATTRIBUTION_CORRECTION", "-60", "-40")]
    }  # fmt: skip
    assert world.organisation("2026-11")["total"] == "0"
    world.close("2026-11")
    assert world.laws() == []


def test_a_copy_with_another_time_that_is_found_after_the_close(world: PeriodWorld) -> None:
    """The first copy stands; the other, of another day, came later and is taken out again by the next close."""
    world.use(world.one("a", OCTOBER, "D1", 100))
    world.use(world.one("x", "2026-10-05T10:00:00+09:00", "D1", 10), partition=3)
    world.close("2026-10")
    world.use(world.one("x", "2026-10-02T10:00:00+09:00", "D1", 10), partition=2)  # lower partition: this one stands
    world.close("2026-11")
    november = world.documents("2026-11")
    # In October x stands once, with other offsets: no amount changed.
    assert november == {}
    world.use(world.one("y", "2026-10-02T10:00:00+09:00", "D1", 10), partition=3)
    world.close("2026-12")
    world.use(world.one("y", "2026-11-02T10:00:00+09:00", "D1", 10), partition=2)
    world.close("2027-01")
    january = world.documents("2027-01")["D1"]
    assert [(one["origin_period"], one["reason"], one["amount"]) for one in january["adjustments"]] == [
        ("2026-10", "COPY_REMOVED", "-15"), ("2026-11", "LATE_USAGE", "15")
    ]  # fmt: skip
    assert world.laws() == []


def test_a_month_that_nobody_used_is_passed_over(world: PeriodWorld) -> None:
    world.use(world.one("a", "2026-08-03T10:00:00+09:00", "D1", 100), world.one("b", OCTOBER, "D1", 2))
    with pytest.raises(MonthBlocked, match="2026-08 holds use and is open"):
        world.close("2026-10")
    world.close("2026-08")
    world.close("2026-10")
    with pytest.raises(MonthClosed):
        world.close("2026-09")
    world.use(world.one("late", "2026-09-03T10:00:00+09:00", "D1", 4))
    world.use(world.one("old", "2026-07-03T10:00:00+09:00", "D1", 6))
    items = world.documents("2026-11")["D1"]["adjustments"]
    assert [(one["origin_period"], one["amount"], one["content_hash"]) for one in items] == [
        ("2026-07", "9", None), ("2026-09", "6", None)
    ]  # fmt: skip
    assert world.documents("2026-09") == {}
    world.close("2026-11")
    assert world.documents("2026-12") == {}
    assert world.laws() == []


def roster(world: PeriodWorld, *rows: str) -> None:
    """Import user,department,valid_from rows."""
    from billing.roster import changes, held_roster, read_roster, write_roster

    lines = "\n".join(["user,department,valid_from", *rows])
    with world.billing.begin() as connection:
        write_roster(connection, changes(held_roster(connection), read_roster(lines.encode(), "r.csv", "Asia/Seoul")))


def test_what_was_redriven_from_quarantine_says_so(world: PeriodWorld) -> None:
    """A record whose time was out of bounds is mended after the close and sent again as it was."""
    world.use(world.one("a", OCTOBER, "D1", 100))
    bad = world.one("q", OCTOBER, "D1", 8)
    world.use(bad, record_time="2026-10-01T00:00:00Z")  # two days before the event: far_future
    with pytest.raises(MonthBlocked, match="1 record is in quarantine \\(1 far_future\\)"):
        world.close("2026-10")
    world.close("2026-10", "quarantine")
    world.bench.tell("update quarantine set state = 'redriven'")
    world.use(bad)
    (item,) = world.documents("2026-11")["D1"]["adjustments"]
    assert (item["reason"], item["amount"]) == ("REDRIVEN", "12")
    assert item["origin"] == "2026-10: 1 event after offset 1 of partition 0 (from quarantine)"


def test_a_tax_that_is_registered_late_is_corrected_as_tax(world: PeriodWorld) -> None:
    """10 % on what openai charged: 150 in October, and on what came late for it; not on the correction itself."""
    world.use(world.one("a", OCTOBER, "D1", 100))
    world.close("2026-10")
    vendors(world, "openai,OpenAI,openai,UTC,USD,domestic_invoice,0.1")
    world.use(world.one("late", OCTOBER, "D1", 20), world.one("n", "2026-11-03T10:00:00+09:00", "D1", 40))
    november = world.documents("2026-11")["D1"]
    assert [(one["reason"], one["amount_exact"]) for one in november["adjustments"]] == [
        ("LATE_USAGE", "30"), ("TAX_CORRECTION", "18")
    ]  # fmt: skip
    assert (november["tax"], november["total"]) == ("6", "114")  # 60 + 6 of November, 30 + 18 of October
    world.close("2026-11")
    assert world.documents("2026-12") == {}
    assert world.laws() == []


def test_a_shared_cost_is_shared_again_when_use_comes_late(world: PeriodWorld) -> None:
    """100 won shared by cost: 50 and 50; after late use of D1 it is 2/3 and 1/3. The parts still add up to 100."""
    rules(world, "support,fixed,100,KRW,cost,2026-10,2026-11")
    world.use(world.one("a", OCTOBER, "D1", 100), world.one("b", OCTOBER, "D2", 100))
    world.close("2026-10")
    assert {code: one["total"] for code, one in world.documents("2026-10").items()} == {"D1": "200", "D2": "200"}
    world.use(world.one("late", OCTOBER, "D1", 100))
    november = world.documents("2026-11")
    corrected = {code: [(one["reason"], one["amount_exact"]) for one in document["adjustments"]]
                 for code, document in november.items()}  # fmt: skip
    assert corrected == {
        "D1": [("ALLOCATION_CORRECTION", "50/3"), ("LATE_USAGE", "150")], "D2": [("ALLOCATION_CORRECTION", "-50/3")]
    }  # fmt: skip
    world.close("2026-11")
    booked = world.ask("""select l.amount_exact from ledger_line l join ledger_entry e on e.id = l.entry_id
                          where e.origin_month = '2026-10' and l.account = 'cost'""")
    assert sum(Fraction(value) for (value,) in booked) == 550  # 3 x 150 and the 100 that are shared
    assert world.laws() == []


def rules(world: PeriodWorld, *rows: str) -> None:
    """Import rule,pool,amount,currency,basis,valid_from,valid_to rows of shared costs."""
    from billing.allocation.file import read_rules_file
    from billing.allocation.store import add_rules, read_known_names

    raw = "\n".join(["rule,pool,amount,currency,basis,valid_from,valid_to", *rows]).encode()
    with world.billing.begin() as connection:
        read = read_rules_file(raw, "rules.csv", read_known_names(connection))
        add_rules(connection, read, name="rules.csv", sha256="0" * 64, actor="os:test")


def vendors(world: PeriodWorld, *rows: str) -> None:
    """Import vendor,creditor,providers,zone,currency,tax_mode,tax_rate rows."""
    from billing.invoices.vendor_store import add_vendors
    from billing.invoices.vendors import read_vendors

    lines = "\n".join(["vendor,creditor,providers,zone,currency,tax_mode,tax_rate", *rows])
    with world.billing.begin() as connection:
        add_vendors(connection, read_vendors(lines.encode(), "vendors.csv"), "os:test")
