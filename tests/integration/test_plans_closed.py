"""Plans beside closed months: stored statements are what counts, whatever comes late; taxes belong to people's use."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from billing.invoices.vendor_store import add_vendors
from billing.invoices.vendors import read_vendors
from billing.plans.budget_states import read_month_budgets
from billing.plans.budgets import BudgetRow
from billing.plans.costs import read_payer_costs
from billing.plans.forecasting import Forecaster
from billing.plans.month_totals import read_month_totals
from billing.plans.registers import lock_registers, write_budgets
from billing.plans.seat_document import comparison_document, read_month
from billing.store import sha256_of, snapshot
from tests.integration.period_world import PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> Iterator[PeriodWorld]:
    with period_world(migrated_database) as found:
        found.house.prices(PRICE.format("1", "1"))
        found.use(
            found.one("a", "2026-10-03T10:00:00+09:00", "D1", 100),
            found.one("b", "2026-10-20T10:00:00+09:00", "D2", 40),
            found.one("c", "2026-11-02T10:00:00+09:00", "D1", 10),
        )
        yield found


def test_late_events_do_not_change_a_closed_month(world: PeriodWorld) -> None:
    budgets = [BudgetRow("D1", "2026", Decimal(1000), "KRW"), BudgetRow(None, "2026-11", Decimal(500), "KRW")]
    with world.house.as_role("billing") as connection:
        lock_registers(connection)
        write_budgets(connection, budgets, name="b.csv", sha256=sha256_of(b""), actor="os:test")
    hashes = {code: one["content_hash"] for code, one in world.documents("2026-10").items()}
    world.close("2026-10")
    world.use(world.one("late", "2026-10-05T10:00:00+09:00", "D1", 7))
    policy = world.house.policy
    with snapshot(world.reader) as connection:
        october = read_month_totals(connection, "2026-10", policy)
        november = read_month_totals(connection, "2026-11", policy)
        assert (october.is_closed, october.booked, october.exact) == (True, 140, 140)
        assert (november.is_closed, november.booked) == (False, 17)  # 10, and 7 that came late
        forecaster = Forecaster(connection, policy, date(2026, 11, 3))
        assert forecaster.month("2026-10").organisation.end == (140, 140, 140)
        assert forecaster.month("2026-11").organisation.so_far == 17
        year = forecaster.year("2026").organisation
        assert year.so_far == 157
        held = read_month_budgets(connection, "2026-11", policy)
        spent = held.of("D1", november.booked_of("D1"))
        assert spent is not None
        assert (spent.spent, spent.remaining) == (117, 883)
        whole = held.of_organisation(november.booked)
        assert whole is not None
        assert (whole.period, whole.spent) == ("2026-11", 17)
        assert held.of("D2", november.booked_of("D2")) is None
        read = read_month(connection, "2026-10", policy, 2)
    found = comparison_document([read], Decimal(50), policy)
    assert (found["usage"]["total"], found["cheaper"]) == ("140", "seats")
    shown = world.documents("2026-10")
    assert {code: one["content_hash"] for code, one in shown.items()} == hashes
    assert shown["D1"]["budget"] == {
        "period": "2026", "amount": "1000", "currency": "KRW", "spent": "100", "remaining": "900",
    }  # fmt: skip
    assert world.laws() == []


def test_peoples_use_costs_its_tax(world: PeriodWorld) -> None:
    """A reverse charge of 10 % from 15 October on: a seat is compared with use and its tax."""
    header = "vendor,providers,zone,currency,tax_mode,tax_rate,valid_from\n"
    register = read_vendors(f"{header}openai,openai,Asia/Seoul,KRW,reverse_charge,0.1,2026-10-15\n".encode(), "v.csv")
    with world.house.as_role("billing") as connection:
        add_vendors(connection, register, "os:test")
    policy = world.house.policy
    with snapshot(world.reader) as connection:
        totals = read_month_totals(connection, "2026-10", policy)
        costs = read_payer_costs(connection, world.house.month("2026-10").month, policy)
    assert totals.exact == 144
    assert sum((Fraction(cost) for cost in costs.values()), Fraction(0)) == totals.exact
    assert sorted((payer.department, cost) for payer, cost in costs.items()) == [("D1", 100), ("D2", 44)]
