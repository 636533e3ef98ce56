"""Each vendor's files through the command line: made by other code from a priced ledger, imported, proved to 0.

Prices are whole units of 1e-8 of the currency a token and sums are integers; nothing of our rating is used.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from tests.integration.command_world import CommandShell, use_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

DAYS = [date(2026, 10, 1) + timedelta(days=n) for n in range(31)]
E8 = 100_000_000
Run = tuple[int, str, str]
REGISTER = """vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days
anthropic,Anthropic,anthropic,,UTC,USD,none,0,usage_day,0
openrouter,OpenRouter,openrouter,,UTC,USD,none,0,usage_day,0
xai,xAI,x-ai,,UTC,USD,none,0,usage_day,0
perplexity,Perplexity,perplexity,,UTC,USD,none,0,usage_day,0
naver,Naver Cloud,naver,,Asia/Seoul,KRW,none,0,usage_day,0
"""


class Used(NamedTuple):
    """Units of one kind at an hour of a UTC day."""

    day: date
    model: str
    unit: str
    quantity: int


class World:
    """A ledger with prices, and the command line beside it."""

    def __init__(self, database: DatabaseUrls, call: Callable[..., Run], place: Path) -> None:
        self.database, self.call, self.place = database, call, place
        self.prices: dict[tuple[str, str], int] = {}

    def fill(self, provider: str, prices: dict[tuple[str, str], int], use: Sequence[Used], **how: Any) -> None:
        """Register the vendors, put prices (1e-8 of the currency for one unit) and metered use."""
        (self.place / "vendors.csv").write_text(REGISTER)
        assert self.call("vendor", "import", self.place / "vendors.csv", "--yes")[0] == 0
        self.prices = prices
        with psycopg.connect(self.database.owner) as connection:
            put_prices(connection, provider, prices, how.get("currency", "USD"))
            put_use(connection, provider, use, how.get("hour", 5))

    def cost(self, item: Used) -> int:
        """What a vendor takes for it, in 1e-8."""
        return item.quantity * self.prices[item.model, item.unit]

    def bring(self, vendor: str, text: str, name: str) -> None:
        """Import a file for the vendor's October."""
        (self.place / name).write_text(text, encoding="utf-8")
        code, _, said = self.call(
            "invoice", "import", self.place / name, "--vendor", vendor, "--month", "2026-10", "--yes"
        )
        assert code == 0, said

    def proved(self, vendor: str, code: int) -> dict[str, Any]:
        """The vendor's document; the proof comes out at 0."""
        found, out, said = self.call("reconcile", "--vendor", vendor, "--month", "2026-10", "--json")
        assert found == code, (said, out)
        document: dict[str, Any] = json.loads(out)
        assert document["proof"]["difference"] == "0"
        assert document["proof"]["invoice"] == document["invoice_total"]
        return document


def put_prices(
    connection: psycopg.Connection[Any], provider: str, prices: dict[tuple[str, str], int], currency: str
) -> None:
    """Our book, per million units."""
    connection.execute(
        """insert into book_import (id, book, origin, name, sha256, rows_added, actor)
           values (1, 'price', 'contract', 'test', repeat('0', 64), 1, 'test')"""
    )
    for number, ((model, unit), price) in enumerate(sorted(prices.items()), 1):
        connection.execute(
            """insert into price (id, import_id, origin, provider, model, unit, service_tier, currency, price, per,
                                  valid_from, source)
               values (%s, 1, 'contract', %s, %s, %s, 'standard', %s, %s::numeric / 100, 1000000, '2026-01-01Z',
                       'test')""",
            (number, provider, model, unit, currency, price),
        )


def put_use(connection: psycopg.Connection[Any], provider: str, use: Sequence[Used], hour: int) -> None:
    """Metered parts."""
    connection.execute("insert into topic_log (cluster_id, topic, topic_id) values ('c', 'usage.events', 't')")
    connection.execute("insert into payer (department, attributed_by) values ('D1', 'event')")
    for item in use:
        connection.execute(
            """insert into route (source, provider, model, service_tier, status, usage_source)
               values ('gateway', %s, %s, 'standard', 'success', 'provider') on conflict do nothing""",
            (provider, item.model),
        )
        requests = item.unit == "requests"
        at = datetime(item.day.year, item.day.month, item.day.day, hour, tzinfo=UTC)
        connection.execute(
            f"""insert into usage_part (hour, route_id, payer_id, partition, log_id, events
                                        {", requests" if requests else f", {item.unit}"})
                select %s, r.id, (select min(id) from payer), 0, 1, 1, %s from route r
                where provider = %s and model = %s""",
            (int(at.timestamp()) // 3600, item.quantity, provider, item.model),
        )


@pytest.fixture
def world(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> World:
    """The command line against the test's database."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))

    return World(migrated_database, CommandShell(capsys).run, tmp_path)


def money(amount: int, scale: int = E8, digits: int = 8) -> str:
    """An integer of so many parts as a decimal text."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // scale}.{abs(amount) % scale:0{digits}d}"


HAIKU, SONNET = "claude-haiku-4-5-20251001", "claude-sonnet-5"
CLAUDE_UNITS = {
    "input_tokens": ("uncached_input_tokens", "input_no_cache", "usage_input_tokens_no_cache"),
    "cache_read_tokens": ("cache_read_input_tokens", "input_cache_read", "usage_input_tokens_cache_read"),
    "cache_write_5m_tokens": (
        "cache_creation.ephemeral_5m_input_tokens", "input_cache_write_5m", "usage_input_tokens_cache_write_5m"
    ),
    "cache_write_1h_tokens": (
        "cache_creation.ephemeral_1h_input_tokens", "input_cache_write_1h", "usage_input_tokens_cache_write_1h"
    ),
    "output_tokens": ("output_tokens", "output", "usage_output_tokens"),
}  # fmt: skip
CLAUDE_PRICES = {
    (model, unit): base * factor
    for model, base in ((HAIKU, 5), (SONNET, 15))
    for unit, factor in zip(CLAUDE_UNITS, (20, 2, 25, 40, 100), strict=True)
}
CLAUDE_USE = [
    Used(day, model, unit, (number + 1) * 10_007 + place)
    for number, day in enumerate(DAYS)
    for model in (HAIKU, SONNET)
    for place, unit in enumerate(CLAUDE_UNITS)
]


def midnight(day: date) -> str:
    """As Anthropic writes it."""
    return f"{day.isoformat()}T00:00:00Z"


def pages(results: dict[date, list[str]]) -> str:
    """Buckets of all days."""
    buckets = ",".join(
        f'{{"starting_at":"{midnight(day)}","ending_at":"{midnight(day + timedelta(days=1))}",'
        f'"results":[{",".join(results[day])}]}}'
        for day in DAYS
    )
    return f'{{"data":[{buckets}],"has_more":false,"next_page":null}}'


def cost_report(world: World, use: Sequence[Used], change: dict[Used, int]) -> str:
    """`amount` is a text of cents: an integer of 1e-8 dollars is so many 1e-6 cents."""
    results: dict[date, list[str]] = {day: [] for day in DAYS}
    for item in use:
        cents = money(world.cost(item) + change.get(item, 0), 1_000_000, 6)
        results[item.day].append(
            f'{{"amount":"{cents}","currency":"USD","cost_type":"tokens","description":"x","model":"{item.model}",'
            f'"token_type":"{CLAUDE_UNITS[item.unit][0]}","context_window":"0-200k","service_tier":"standard",'
            '"inference_geo":null,"workspace_id":null}'
        )
    return pages(results)


def usage_report(use: Sequence[Used]) -> str:
    """A result for each day and model."""
    results: dict[date, list[str]] = {day: [] for day in DAYS}
    counted = {(item.day, item.model, item.unit): item.quantity for item in use}
    for day, model in sorted({(item.day, item.model) for item in use}):
        of = {unit: counted.get((day, model, unit), 0) for unit in CLAUDE_UNITS}
        results[day].append(
            f'{{"uncached_input_tokens":{of["input_tokens"]},"cache_creation":{{"ephemeral_5m_input_tokens":'
            f'{of["cache_write_5m_tokens"]},"ephemeral_1h_input_tokens":{of["cache_write_1h_tokens"]}}},'
            f'"cache_read_input_tokens":{of["cache_read_tokens"]},"output_tokens":{of["output_tokens"]},'
            f'"server_tool_use":{{"web_search_requests":0}},"model":"{model}","service_tier":"standard",'
            '"context_window":"0-200k","api_key_id":null,"workspace_id":null}'
        )
    return pages(results)


def test_anthropic_reports(world: World) -> None:
    """Clean with both reports; then more tokens on one line and a dearer price on another, each by its class."""
    world.fill("anthropic", CLAUDE_PRICES, CLAUDE_USE)
    world.bring("anthropic", cost_report(world, CLAUDE_USE, {}), "cost.json")
    world.bring("anthropic", usage_report(CLAUDE_USE), "usage.json")
    document = world.proved("anthropic", 0)
    assert document["breaks"] == []
    assert document["matched"]["groups"] == len(CLAUDE_USE)
    assert document["invoice_total"] == money(sum(world.cost(item) for item in CLAUDE_USE)).rstrip("0")
    more, dearer = CLAUDE_USE[12], CLAUDE_USE[44]
    use = [item._replace(quantity=item.quantity + 1_000) if item == more else item for item in CLAUDE_USE]
    world.bring("anthropic", cost_report(world, use, {dearer: 7 * dearer.quantity}), "cost2.json")
    world.bring("anthropic", usage_report(use), "usage2.json")
    found = {one["class"]: one for one in world.proved("anthropic", 6)["breaks"]}
    assert sorted(found) == ["PRICE", "QUANTITY"]
    assert found["QUANTITY"]["amount"] == money(1_000 * CLAUDE_PRICES[more.model, more.unit]).rstrip("0")
    assert (found["QUANTITY"]["key"]["day"], found["QUANTITY"]["key"]["unit"]) == (more.day.isoformat(), more.unit)
    assert found["PRICE"]["amount"] == money(7 * dearer.quantity).rstrip("0")


def test_anthropic_console_files_round_row_by_row(world: World) -> None:
    """Display names in one file, ids in the other; cents a row hide at most half a cent, and only ROUNDING is left."""
    world.fill("anthropic", CLAUDE_PRICES, CLAUDE_USE)
    display = {HAIKU: "Claude Haiku 4.5", SONNET: "Claude Sonnet 5"}
    costs = ["usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type"]
    for item in CLAUDE_USE:
        cents = (world.cost(item) + 500_000) // 1_000_000
        costs.append(
            f"{item.day},{display[item.model]},Default,gateway,message,≤ 200k,{CLAUDE_UNITS[item.unit][1]},"
            f"{money(cents, 100, 2)},token"
        )
    world.bring("anthropic", "\n".join(costs) + "\n", "cost.csv")
    names = [name for _, _, name in CLAUDE_UNITS.values()]
    tokens = [f"usage_date_utc,model_version,workspace,usage_type,context_window,{','.join(names)},web_search_count"]
    counted = {(item.day, item.model, item.unit): item.quantity for item in CLAUDE_USE}
    for day, model in sorted({(item.day, item.model) for item in CLAUDE_USE}):
        figures = ",".join(str(counted[day, model, unit]) for unit in CLAUDE_UNITS)
        tokens.append(f"{day},{model},Default,standard,≤ 200k,{figures},0")
    world.bring("anthropic", "\n".join(tokens) + "\n", "token.csv")
    document = world.proved("anthropic", 0)
    assert {one["class"] for one in document["breaks"]} == {"ROUNDING"}
    assert document["matched"]["groups"] == len(CLAUDE_USE)


def test_openrouter_activity(world: World) -> None:
    """The day's money as a whole, the tokens by model: clean; then tokens that never passed us."""
    model = "openai/gpt-5.4-20260301"
    prices = {
        (model, unit): price
        for unit, price in (("input_tokens", 250), ("cache_read_tokens", 25), ("output_tokens", 1000))
    }
    figures = {"input_tokens": 1_200, "cache_read_tokens": 300, "output_tokens": 90}
    use = [Used(day, model, unit, count) for day in DAYS for unit, count in figures.items()]
    world.fill("openrouter", prices, use)
    header = (
        "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,"
        "tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug"
    )

    def rows(extra: int) -> str:
        lines = [header]
        for n, day in enumerate(DAYS):
            more = extra if n == 4 else 0
            cost = 250 * (1_200 + more) + 25 * 300 + 1000 * 90
            lines.append(f"gen-{n},{day} 05:00:00.001,{money(cost)},0,0,0,0,{1_500 + more},90,0,300,{model}")
        return "\n".join(lines) + "\n"

    world.bring("openrouter", rows(0), "activity.csv")
    assert world.proved("openrouter", 0)["breaks"] == []
    world.bring("openrouter", rows(77), "activity2.csv")
    (one,) = world.proved("openrouter", 6)["breaks"]
    assert (one["class"], one["amount"]) == ("QUANTITY", money(77 * 250).rstrip("0"))
    assert one["key"]["day"] == "2026-10-05"


def test_xai_bills_a_month(world: World) -> None:
    """Our days come together as the vendor's month; the tax is a break of its own kind."""
    model = "grok-4.3"
    prices = {(model, "input_tokens"): 200, (model, "cache_read_tokens"): 50, (model, "output_tokens"): 1_000}
    use = [Used(day, model, unit, 500_000) for day in DAYS for _, unit in prices]
    world.fill("x-ai", prices, use)
    words = {
        "input_tokens": "Prompt text tokens",
        "cache_read_tokens": "Cached prompt text tokens",
        "output_tokens": "Completion text tokens",
    }
    total, lines = 0, []
    for (_, unit), price in prices.items():
        cents = 31 * 500_000 * price // 1_000_000
        total += cents
        lines.append({
            "description": f"API {model}", "unitType": words[unit], "numUnits": str(31 * 500_000), "amount": str(cents)
        })  # fmt: skip
    document = {
        "coreInvoice": {"lines": lines, "vatCost": "0", "totalWithCorr": {"val": str(total)}},
        "billingCycle": {"year": 2026, "month": 10},
    }
    world.bring("xai", json.dumps(document), "preview.json")
    found = world.proved("xai", 0)
    assert (found["breaks"], found["matched"]["groups"], found["uncovered_days"]) == ([], 3, [])
    assert found["proof"]["stated_total"] == found["proof"]["invoice"]
    document["coreInvoice"]["vatCost"] = "700"  # type: ignore[index]
    world.bring("xai", json.dumps(document), "invoice.json")
    found = world.proved("xai", 6)
    (one,) = found["breaks"]
    assert (one["class"], one["amount"]) == ("TAX", "7")
    assert found["proof"]["stated_total"] == found["proof"]["invoice"]


def test_perplexity_answers(world: World) -> None:
    """Each answer's parts, the fee for the request included where the book prices it."""
    prices = {("sonar", "input_tokens"): 100, ("sonar", "output_tokens"): 100, ("sonar", "requests"): 500_000}
    use = [
        Used(day, "sonar", unit, count)
        for day in DAYS
        for unit, count in (("input_tokens", 20), ("output_tokens", 600), ("requests", 2))
    ]
    world.fill("perplexity", prices, use)
    answers = []
    for day in DAYS:
        at = int(datetime(day.year, day.month, day.day, 5, tzinfo=UTC).timestamp())
        answers += [
            f'{{"id":"{day}-{n}","model":"sonar","created":{at + n},"usage":{{"prompt_tokens":10,'
            f'"completion_tokens":300,"total_tokens":310,"cost":{{"input_tokens_cost":{money(1_000)},"output_tokens_cost":{money(30_000)},'
            f'"request_cost":{money(500_000)},"total_cost":{money(531_000)}}}}}}}'
            for n in range(2)
        ]
    world.bring("perplexity", "\n".join(answers) + "\n", "answers.ndjson")
    assert world.proved("perplexity", 0)["breaks"] == []
    world.bring("perplexity", "\n".join(answers[:-2]) + "\n", "cut.ndjson")
    assert world.proved("perplexity", 0)["breaks"] == []


def test_naver_bills_a_month_of_korean_days_in_won(world: World) -> None:
    """Use at 20:00 UTC on 30 September is October in Seoul; discounts are credits, other products fees."""
    model = "HCX-007"
    prices = {(model, "input_tokens"): 125_000, (model, "output_tokens"): 500_000}
    use = [Used(date(2026, 9, 30), model, "input_tokens", 40_000), Used(DAYS[4], model, "output_tokens", 10_000)]
    world.fill("naver", prices, use, currency="KRW", hour=20)

    def bill(used: int, discount: int) -> str:
        row = (
            f'{{"memberNo":"1","demandMonth":"202610","productDemandType":{{"code":"C","codeName":"CLOVA Studio"}},'
            f'"useAmount":{used},"promotionDiscountAmount":{discount},"demandAmount":{used - discount},'
            '"payCurrency":{"code":"KRW","codeName":"Won"}}'
        )
        return f'{{"getProductDemandCostListResponse":{{"returnCode":"0","productDemandCostList":[{row}]}}}}'

    world.bring("naver", bill(100, 0), "bill.json")
    document = world.proved("naver", 0)
    assert (document["currency"], document["invoice_total"], document["breaks"]) == ("KRW", "100", [])
    world.bring("naver", bill(105, 30), "bill2.json")
    document = world.proved("naver", 6)
    assert document["proof"]["stated_total"] == document["proof"]["invoice"] == "75"
    found = {one["class"]: one["amount"] for one in document["breaks"]}
    assert found == {"CREDIT_OR_DISCOUNT": "-30", "QUANTITY": "5"}
