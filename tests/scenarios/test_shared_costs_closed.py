"""Stories of shared costs, tax and rates across closes: what was closed stays, what comes to differ is a correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from billing.ledger.close import MonthBlocked
from billing.policy import MoneyPolicy
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world
from tests.scenarios.money_world import import_rules, import_vendors, put_invoice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

NOVEMBER = "2026-11-03T10:00:00+09:00"
DOLLAR = "openai,gpt-x,input_tokens,,,,USD,1,1,2026-01-01T00:00:00Z,,letter"


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> Iterator[PeriodWorld]:
    with period_world(migrated_database) as made:
        yield made


def corrections(world: PeriodWorld, month: str) -> dict[str | None, list[tuple[str, str]]]:
    """(reason, exact amount) of each correction, by department."""
    return {
        department: [(one["reason"], one["amount_exact"]) for one in document["adjustments"]]
        for department, document in world.documents(month).items()
        if document["adjustments"]
    }


def test_a_rule_that_changes_after_the_close_is_a_correction(world: PeriodWorld) -> None:
    world.house.prices(PRICE.format("1", "1"))
    world.use(world.one("a", OCTOBER, "D1", 100), world.one("b", OCTOBER, "D2", 300))
    import_rules(world.house, "support,fixed,1000,KRW,cost,,,2026-10,,")
    world.close("2026-10")
    closed = world.documents("2026-10")
    assert {code: one["total"] for code, one in closed.items()} == {"D1": "350", "D2": "1050"}
    import_rules(world.house, "support,fixed,1000,KRW,shares,,D1=1; D2=1,2026-10,2026-11,agreed in November")
    assert world.documents("2026-10") == closed
    assert corrections(world, "2026-11") == {
        "D1": [("ALLOCATION_CORRECTION", "250")],
        "D2": [("ALLOCATION_CORRECTION", "-250")],
    }
    world.close("2026-11")
    assert world.documents("2026-12") == {}
    assert world.laws() == []


def test_late_use_of_nobody_is_given_away_like_the_rest(world: PeriodWorld) -> None:
    """The unattributed account ends at 0 in both months: the correction of its use, and of its share, cancel."""
    world.house.prices(PRICE.format("1", "1"))
    import_vendors(world.house, "openai,OpenAI,openai,,UTC,USD,vendor_charged,0.1,,2,,,,")
    import_rules(world.house, "nobody,unattributed,,,cost,,,2026-10,,")
    world.use(world.one("a", OCTOBER, "D1", 100), world.one("b", OCTOBER, "D2", 300), world.one("c", OCTOBER, None, 40))
    world.close("2026-10", "unattributed")
    # 100 + 10 of tax + a quarter of 44
    assert {code: one["total"] for code, one in world.documents("2026-10").items()} == {
        "D1": "121", "D2": "363", None: "0",
    }  # fmt: skip
    world.use(world.one("late", OCTOBER, None, 80))
    assert corrections(world, "2026-11") == {
        "D1": [("ALLOCATION_CORRECTION", "22")],
        "D2": [("ALLOCATION_CORRECTION", "66")],
        None: [("ALLOCATION_CORRECTION", "-88"), ("LATE_USAGE", "80"), ("TAX_CORRECTION", "8")],
    }
    assert {code: one["total"] for code, one in world.documents("2026-11").items()} == {
        "D1": "22", "D2": "66", None: "0",
    }  # fmt: skip
    world.close("2026-11", "unattributed")
    assert world.laws() == []


def test_the_rate_of_an_invoice_that_comes_after_the_close(world: PeriodWorld) -> None:
    """October is billed on 5 November; it closes by the rate of the 3rd, and the 5th's makes a correction."""
    world.house.prices(DOLLAR)
    import_vendors(world.house, "openai,OpenAI,openai,,UTC,USD,none,0,invoice_date,2,,,,5")
    world.house.fx("2026-10-01,USD,KRW,1300,bank", "2026-11-03,USD,KRW,1400,bank")
    world.use(world.one("a", OCTOBER, "D1", 2))
    world.close("2026-10")
    assert world.documents("2026-10")["D1"]["total"] == "2800"
    world.house.fx("2026-11-05,USD,KRW,1450,bank")
    assert corrections(world, "2026-11") == {"D1": [("RATE_CORRECTION", "100")]}
    world.close("2026-11")
    assert world.laws() == []


def test_an_invoice_that_comes_after_the_close(world: PeriodWorld) -> None:
    """Its tax lines reach departments as corrections, by the shares of the closed month."""
    world.house.prices(PRICE.format("1", "1"))
    import_rules(world.house, "vat,invoice_tax:openai,,,cost:openai,,,2026-10,,")
    world.use(world.one("a", OCTOBER, "D1", 100), world.one("b", OCTOBER, "D2", 300), world.one("c", NOVEMBER, "D3", 5))
    world.close("2026-10")
    put_invoice(world.house, "openai", ("2026-10-31", "tax", "40", "KRW"))
    assert corrections(world, "2026-11") == {
        "D1": [("ALLOCATION_CORRECTION", "10")],
        "D2": [("ALLOCATION_CORRECTION", "30")],
    }
    world.close("2026-11")
    assert world.laws() == []


def test_a_closed_month_keeps_the_policy_of_its_close(world: PeriodWorld) -> None:
    """Closed to 10 won by the month's last rate; later settings change neither it nor what it comes to."""
    world.house.prices(DOLLAR)
    world.house.fx("2026-10-01,USD,KRW,1301,bank", "2026-10-30,USD,KRW,1401,bank")
    world.use(world.one("a", OCTOBER, "D1", 1), world.one("b", OCTOBER, "D2", 1))
    world.house.policy = MoneyPolicy(step_digits=1, fx_policy="month_fixed", rest_to="D2")
    world.close("2026-10")
    # 2802 is 2800; the floors are 1400 each, and nothing is left.
    assert {code: one["total"] for code, one in world.documents("2026-10").items()} == {"D1": "1400", "D2": "1400"}
    world.house.policy = MoneyPolicy()
    assert {code: one["total"] for code, one in world.documents("2026-10").items()} == {"D1": "1400", "D2": "1400"}
    assert world.documents("2026-11") == {}
    world.use(world.one("late", OCTOBER, "D1", 1))
    assert corrections(world, "2026-11") == {"D1": [("LATE_USAGE", "1401")]}
    world.close("2026-11")
    assert world.laws() == []


def test_a_shared_cost_without_a_rate_blocks_a_close(world: PeriodWorld) -> None:
    world.house.prices(PRICE.format("1", "1"))
    world.use(world.one("a", OCTOBER, "D1", 100))
    import_rules(world.house, "throughput,fixed,10,USD,cost,,,2026-10,,")
    with pytest.raises(MonthBlocked, match=r"throughput \(fixed\): there is no rate of USD in KRW for 2026-10"):
        world.close("2026-10")
    world.house.fx("2026-10-30,USD,KRW,1400,bank")
    world.close("2026-10")
    assert world.documents("2026-10")["D1"]["total"] == "14100"
