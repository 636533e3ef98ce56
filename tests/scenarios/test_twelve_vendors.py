"""A month end of twelve vendors, from import to closed period: invoices, bridge, statements and ledger agree.

Given October's use of twelve vendors, event by event, and what each of them bills (twelve_vendors.py), three fetched
from their APIs and nine brought as files; when Azure revises on day 5, finance disputes what OpenAI and Azure take on
day 9 and accepts the rest, October is closed on day 10, Azure gives way and OpenAI does not, and Anthropic corrects on
day 29; then every proof comes out at 0, each planted difference stands in its class, and what departments are charged
is what the vendors bill, to the won, without what is disputed while it is.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from billing.breaks.deciding import Asked, decide
from billing.breaks.worklist import Wanted
from billing.invoices.fetching.apis import APIS, api_of
from billing.invoices.fetching.asking import plan_month
from billing.invoices.fetching.month import fetch_month
from billing.invoices.fetching.transport import Access, VendorClient
from billing.invoices.imported import Imported
from billing.invoices.source import SourceFile
from billing.invoices.store import Delivery, import_files
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import vendor_for
from billing.ledger.close import MonthBlocked
from billing.reconciliation.bridge import bridge
from billing.reconciliation.month import ReconciledMonth, reconcile_month
from billing.reconciliation.record import record
from tests.integration.period_world import MONEY_LAWS, PeriodWorld, period_world
from tests.integration.vendor_apis import PLANTED, Patience, serving
from tests.scenarios.money_world import import_rules, import_vendors
from tests.scenarios.twelve_vendors import (
    AWS_FEE,
    AZURE_DEARER,
    BYPASSED,
    CORRECTION,
    DAYS,
    E8,
    EDGE,
    MISTRAL_FORGOTTEN,
    NAVER_DISCOUNT,
    RATES,
    RESELLER_RATE,
    TOGETHER_CREDIT,
    USE,
    VENDORS,
    XAI_TAX_CENTS,
    anthropic_answer,
    aws_report,
    azure_details,
    by_unit,
    focus,
    google_export,
    invoiced,
    money,
    naver_bill,
    openai_answer,
    openrouter_activity,
    perplexity_answers,
    together_credit,
    used_by,
    xai_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from billing.breaks.states import Action
    from jangbu.services.postgres import DatabaseUrls

OCTOBER = "2026-10"
SINCE = "2026-01-01T00:00:00Z"
DAY_2, DAY_10, DAY_20, DAY_29 = (datetime(2026, 11, day, 9, tzinfo=UTC) for day in (2, 10, 20, 29))
READABLE = frozenset(
    {"openai.costs_api", "openai.usage_api", "anthropic.cost_report", "anthropic.usage_report", "x-ai.invoice"}
)
"""What this story fetches: it must not change when another surface gets its importer."""
FILES = {
    "google": ("google.json", google_export),
    "aws": ("aws.csv.gz", aws_report),
    "azure": ("azure-1.csv", lambda: azure_details(revised=False)),
    "mistral": ("mistral.csv", lambda: focus("mistral", leave_out=[MISTRAL_FORGOTTEN])),
    "openrouter": ("openrouter.csv", openrouter_activity),
    "perplexity": ("perplexity.ndjson", perplexity_answers),
    "naver": ("naver.json", naver_bill),
    "together": ("together.csv", lambda: focus("together", more=[together_credit()])),
    "seoul-ai": ("seoul-ai.csv", lambda: focus("seoul-ai", rate=RESELLER_RATE)),
}


class Story:
    """The city's books, and the hands of finance."""

    def __init__(self, world: PeriodWorld) -> None:
        self.world = world

    def bring(self, vendor: str, *sources: SourceFile) -> list[Imported]:
        """Import files of October."""
        with self.world.house.as_role("billing") as connection:
            terms = vendor_for(read_register(connection), vendor, OCTOBER)
            return import_files(connection, sources, Delivery(terms, terms.month(OCTOBER), "os:finance"))

    def fetch(self, vendor: str, answer: Callable[..., Any], now: datetime) -> list[Imported]:
        """October from the vendor's API."""
        api = api_of(vendor)
        assert api in APIS
        with self.world.house.as_role("reader") as connection:
            month = vendor_for(read_register(connection), vendor, OCTOBER).month(OCTOBER)
        plan = plan_month(api, month, now, READABLE, "team-1")
        with serving(answer) as server:
            access = Access(server.url, PLANTED, "JANGBU_X_KEY", "JANGBU_X_URL", "team-1")
            with VendorClient(api, access, Patience(now=now).waiting()) as client:
                files = fetch_month(api, plan, client)
        return self.bring(vendor, *(file.source for file in files))

    def bring_all(self) -> None:
        """October of all twelve, as it is on the second day of November."""
        assert len(self.fetch("openai", openai_answer, DAY_2)) == 2
        assert len(self.fetch("anthropic", anthropic_answer(0), DAY_2)) == 2
        self.fetch("x-ai", xai_answer, DAY_2)
        for vendor, (name, made) in FILES.items():
            self.bring(vendor, SourceFile(name, made()))

    def reconcile(self, vendor: str, now: datetime) -> ReconciledMonth:
        """Reconcile October and record it; the proof and the bridge come out for each currency."""
        with self.world.house.as_role("reader") as connection:
            found = reconcile_month(connection, vendor, OCTOBER, now)
        for document in found.documents:
            steps = bridge(document)
            assert document.proof.difference == 0
            assert steps[0].amount == document.ours_total
            assert steps[-2].sum_after == steps[-1].sum_after == document.invoice_total
        with self.world.house.as_role("billing") as connection:
            record(connection, found, "os:finance")
        return found

    def decide(self, action: Action, reason: str, **which: Any) -> list[tuple[str, str]]:
        """Decide about October's breaks: (class, amount as decided) of each."""
        with self.world.house.as_role("billing") as connection:
            asked = Asked(action, reason, "os:finance", wanted=Wanted(month=OCTOBER, **which))
            return [(one.item.cls, money(int((one.amount or 0) * E8))) for one in decide(connection, asked)]

    def classes(self, vendor: str, now: datetime) -> dict[str, str]:
        """Open differences of a vendor by class, as exact decimals."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for document in self.reconcile(vendor, now).documents:
            for one in document.breaks:
                found[str(one.cls)] += one.amount
        return {cls: money(int(amount * E8)) for cls, amount in found.items()}

    def charged_exactly(self) -> dict[str, Fraction]:
        """What stands on cost for October in the books so far by vendor, before rounding, corrections included: use by
        its provider, shares by the pool that they are of."""
        vendors = {one.provider: one.name for one in VENDORS.values()}
        rows = self.world.ask("""select l.provider, l.charge_key, l.amount_exact
                                 from ledger_line l join ledger_entry e on e.id = l.entry_id
                                 where e.origin_month = '2026-10' and l.account = 'cost'""")
        found: dict[str, Fraction] = defaultdict(Fraction)
        for provider, key, exact in rows:
            pool = next((part for part in key or () if part.startswith("invoice_")), None)
            found[vendors[provider] if pool is None else pool.partition(":")[2]] += Fraction(exact)
        return dict(found)

    def booked(self, month: str) -> Decimal:
        """The whole won on cost in a month's books."""
        (row,) = self.world.ask(f"""select coalesce(sum(l.amount), 0) from ledger_line l
                                    join ledger_entry e on e.id = l.entry_id
                                    where e.month = '{month}' and l.account = 'cost'""")
        return Decimal(row[0])

    def agrees(self, month: str) -> None:
        """The statements of a month, the organisation's and the ledger are one sum; the laws hold."""
        total = Decimal(self.world.organisation(month)["total"])
        assert sum(Decimal(one["total"]) for one in self.world.documents(month).values()) == total
        assert self.booked(month) == total
        assert self.world.laws(*MONEY_LAWS, "6-invoice") == []


@pytest.fixture
def story(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """Prices, rates, vendors, use and the rules by which what the invoices say beyond use is shared."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with period_world(migrated_database) as world:
        rows = [
            f"{one.provider},{one.model},{unit},,,,{one.currency},{money(price, 2)},1000000,{SINCE},,letter"
            for one in VENDORS.values()
            for unit, price in one.prices.items()
        ]
        rows.append(f"openai,{BYPASSED[0]},input_tokens,,,,USD,2.5,1000000,{SINCE},,letter")
        world.house.prices(*rows)
        world.house.fx(f"2026-09-30,USD,KRW,{RATES['USD']},bank", f"2026-09-30,EUR,KRW,{RATES['EUR']},bank")
        import_vendors(
            world.house,
            *(
                f"{one.name},{one.name},{one.provider},,{one.zone},{one.billed_in},none,0,usage_day,{one.settle_days},,,,"
                for one in VENDORS.values()
            ),
        )
        pools = [f"invoice_difference:{name}" for name in VENDORS]
        pools += ["invoice_fee:aws", "invoice_tax:x-ai", "invoice_credit:naver", "invoice_credit:together"]
        import_rules(world.house, *(f"r{n},{pool},,,cost,,,2026-10,2026-11,decided" for n, pool in enumerate(pools)))
        world.use(
            *(
                world.one(f"e-{number}", item.at.isoformat(), item.department, 0, model=VENDORS[item.vendor].model,
                          provider=VENDORS[item.vendor].provider, units={item.unit: item.tokens})
                for number, item in enumerate(USE)
            )
        )  # fmt: skip
        yield Story(world)


def in_won(dollars: int) -> Fraction:
    """1e-8 dollars in won."""
    return Fraction(dollars * RATES["USD"], E8)


EDGE_WON = in_won(EDGE.cost)


def billed_won(*, correction: int) -> dict[str, Fraction]:
    """What each bills for our October, in won at our rates: the use of its last hours in UTC is November's
    in Seoul."""
    won = {
        name: Fraction(invoiced(name, azure_revised=True, correction=correction) * RATES[one.billed_in], E8)
        for name, one in VENDORS.items()
    }
    return {**won, EDGE.vendor: won[EDGE.vendor] - EDGE_WON}


def rounded(exact: Fraction) -> str:
    """To the won, half to even."""
    return str(round(exact))


def test_a_month_end_of_twelve_vendors(story: Story) -> None:
    world = story.world

    # Day 2: three are asked, nine bring files.
    story.bring_all()
    assert story.classes("azure", DAY_2) == {"NOT_BILLED": money(-_cost("azure", DAYS[2]))}

    # Day 5: Azure's revised file takes the first one's place, and what changed is said.
    (revised,) = story.bring("azure", SourceFile("azure-2.csv", azure_details(revised=True)))
    (old,) = revised.supersedes
    assert (old.file_name, old.days[0], old.days[-1]) == ("azure-1.csv", DAYS[0], DAYS[1])
    dearer = by_unit(used_by("azure"))[DAYS[0], "output_tokens"] * AZURE_DEARER
    assert old.after["USD"] - old.before["USD"] == Decimal(money(dearer))

    # Day 10: every difference stands in its class, and nothing else does.
    found = {vendor: story.classes(vendor, DAY_10) for vendor in VENDORS}
    forgotten = by_unit(used_by("mistral"))[MISTRAL_FORGOTTEN] * VENDORS["mistral"].prices["output_tokens"]
    assert found == {
        "openai": {"BYPASS": money(BYPASSED[3])},
        "anthropic": {}, "google": {}, "openrouter": {}, "perplexity": {},
        "aws": {"FEE": money(AWS_FEE)},
        "azure": {"PRICE": money(dearer)},
        "mistral": {"NOT_BILLED": money(-forgotten)},
        "x-ai": {"TAX": money(XAI_TAX_CENTS * E8 // 100)},
        "naver": {"CREDIT_OR_DISCOUNT": money(-NAVER_DISCOUNT * E8)},
        "together": {"CREDIT_OR_DISCOUNT": money(TOGETHER_CREDIT)},
        "seoul-ai": {"FX": money(sum(item.cost for item in used_by("seoul-ai")) * (RESELLER_RATE - RATES["USD"]))},
    }  # fmt: skip

    # Two differences are disputed; the rest is taken on. What is open blocks the close until then.
    with pytest.raises(MonthBlocked) as blocked:
        world.close(OCTOBER)
    assert [check.name for check in blocked.value.checks] == ["breaks"]
    disputed = [story.decide("dispute", "never passed the gateway", vendor="openai", cls="BYPASS"),
                story.decide("dispute", "the contract says 8.00", vendor="azure", cls="PRICE")]  # fmt: skip
    assert disputed == [[("BYPASS", money(BYPASSED[3]))], [("PRICE", money(dearer))]]
    story.decide("accept", "looked at", state="open")
    expected = billed_won(correction=0)
    expected["openai"] -= in_won(BYPASSED[3])
    expected["azure"] -= in_won(dearer)
    world.close(OCTOBER)
    assert story.charged_exactly() == expected
    assert world.organisation(OCTOBER)["total"] == rounded(sum(expected.values(), Fraction(0)))
    story.agrees(OCTOBER)
    kept = world.documents(OCTOBER)

    # Day 20: Azure bills what was agreed, and its break is gone; OpenAI was right, and November pays.
    (third,) = story.bring("azure", SourceFile("azure-3.csv", azure_details(revised=True, dearer=False)))
    assert third.supersedes[0].after["USD"] - third.supersedes[0].before["USD"] == -Decimal(money(dearer))
    assert story.classes("azure", DAY_20) == {}
    story.decide("resolve", "credited by a new bill", vendor="azure")
    lost = story.decide("accept", "a test with the vendor's own key", vendor="openai", state="disputed")
    assert lost == [("BYPASS", money(BYPASSED[3]))]

    # Day 29: Anthropic corrects October, which is closed: November carries the difference, with its origin.
    corrected = story.fetch("anthropic", anthropic_answer(CORRECTION), DAY_29)
    more = CORRECTION * VENDORS["anthropic"].prices["output_tokens"]
    (old, _) = (one.supersedes[0] for one in corrected)
    assert old.after["USD"] - old.before["USD"] == Decimal(money(more))
    assert story.classes("anthropic", DAY_29) == {"QUANTITY": money(more)}
    assert story.decide("accept", "their correction of 29 November", vendor="anthropic") == [("QUANTITY", money(more))]
    adjustments = [item for one in world.documents("2026-11").values() for item in one["adjustments"]]
    assert {item["reason"] for item in adjustments} == {"INVOICE_DIFFERENCE"}
    assert {item["origin_period"] for item in adjustments} == {OCTOBER}
    world.close("2026-11")
    assert world.documents(OCTOBER) == kept
    final = {**billed_won(correction=CORRECTION), "azure": in_won(sum(item.cost for item in used_by("azure")))}
    assert story.charged_exactly() == final
    assert world.organisation("2026-11")["total"] == rounded(EDGE_WON + in_won(BYPASSED[3] + more))
    story.agrees("2026-11")


def test_use_that_arrives_after_the_reconciliation_is_not_charged_twice(story: Story) -> None:
    """OpenAI bills tokens that we have not seen yet; they arrive between the reconciliation and the close."""
    world = story.world
    story.fetch("openai", openai_answer, DAY_2)
    story.reconcile("openai", DAY_10)
    story.decide("accept", "looked at", vendor="openai")
    late = world.one("late", f"{DAYS[1]}T05:00:00+00:00", "D001", 0, model=BYPASSED[0],
                     units={"input_tokens": BYPASSED[2]})  # fmt: skip
    world.use(late)
    with pytest.raises(MonthBlocked) as blocked:
        world.close(OCTOBER)
    (check,) = blocked.value.checks
    assert check.name == "reconciled"
    assert "openai was reconciled at invoice" in check.sentence
    assert check.remedy == "`jangbu reconcile --vendor openai --month 2026-10`"
    assert story.classes("openai", DAY_10) == {}
    story.decide("reopen", "the use has arrived", vendor="openai", cls="BYPASS")
    world.close(OCTOBER)
    assert story.charged_exactly()["openai"] == billed_won(correction=0)["openai"]
    story.agrees(OCTOBER)


def test_a_bill_that_comes_again_in_another_currency_leaves_nothing_of_the_first_open(story: Story) -> None:
    """The reseller bills dollars with a part left out, then won: the dollars' break is not open beside the won's."""
    forgotten = (DAYS[0], "output_tokens")
    story.bring("seoul-ai", SourceFile("1.csv", focus("seoul-ai", currency="USD", leave_out=[forgotten])))
    assert list(story.classes("seoul-ai", DAY_2)) == ["NOT_BILLED"]
    story.bring("seoul-ai", SourceFile("2.csv", focus("seoul-ai", rate=RESELLER_RATE)))
    assert list(story.classes("seoul-ai", DAY_10)) == ["FX"]
    assert {cls for cls, _ in story.decide("accept", "their rate", vendor="seoul-ai")} == {"FX"}
    story.world.close(OCTOBER)
    assert story.charged_exactly()["seoul-ai"] == billed_won(correction=0)["seoul-ai"]
    story.agrees(OCTOBER)


def test_a_close_from_events_does_not_ask_sums_that_end_with_our_month(story: Story) -> None:
    """OpenAI's October goes on for nine hours after ours: sums rebuilt up to our end do not hold them."""
    story.fetch("openai", openai_answer, DAY_2)
    story.reconcile("openai", DAY_10)
    story.decide("accept", "looked at", vendor="openai")
    story.world.close(OCTOBER, from_events=True)
    assert story.charged_exactly()["openai"] == billed_won(correction=0)["openai"]


def test_an_invoice_that_is_revised_after_the_reconciliation_is_looked_at_again(story: Story) -> None:
    story.bring("azure", SourceFile("azure-1.csv", azure_details(revised=False)))
    story.reconcile("azure", DAY_2)
    story.bring("azure", SourceFile("azure-2.csv", azure_details(revised=True)))
    with pytest.raises(MonthBlocked, match="azure was reconciled at invoice"):
        story.world.close(OCTOBER, "breaks")


def _cost(vendor: str, *days: Any) -> int:
    return sum(item.cost for item in used_by(vendor) if item.day in days)
