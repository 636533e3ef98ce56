"""Twelve vendors' October, and their bills by code of their own: prices are integers, sums are integers, texts by hand.

Nothing of our importers or rating is used. A price is in 1e-8 of its currency for one unit, so that a cost is a whole
number of 1e-8; rates are whole won.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.integration.vendor_apis import Reply, Seen, asked_days, openai_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

E8 = 100_000_000
ONE_DAY = timedelta(days=1)
DAYS = (date(2026, 10, 5), date(2026, 10, 14), date(2026, 10, 30))
MONTH = [date(2026, 10, 1) + n * ONE_DAY for n in range(31)]
RATES = {"USD": 1400, "EUR": 1500, "KRW": 1}
"""Won for one."""


class Vendor(NamedTuple):
    """Who bills, for which provider and model, with our prices of each unit. `billed_in`: the invoice's currency."""

    name: str
    provider: str
    zone: str
    model: str
    currency: str
    prices: dict[str, int]
    billed_in: str
    settle_days: int = 2


def _tokens(price_in: int, price_out: int) -> dict[str, int]:
    return {"input_tokens": price_in, "output_tokens": price_out}


VENDORS = {
    one.name: one
    for one in (
        Vendor("openai", "openai", "UTC", "gpt-5-mini-2025-08-07", "USD", _tokens(25, 200), "USD"),
        Vendor("anthropic", "anthropic", "UTC", "claude-sonnet-5", "USD", _tokens(300, 1500), "USD", 30),
        Vendor("google", "google", "America/Los_Angeles", "gemini-2.5-flash", "USD", _tokens(30, 250), "USD", 5),
        Vendor("aws", "aws", "UTC", "NovaPro", "USD", _tokens(80, 320), "USD"),
        Vendor("azure", "azure", "UTC", "gpt-4.1", "USD", _tokens(200, 800), "USD", 5),
        Vendor("mistral", "mistral", "UTC", "mistral-large-2512", "EUR", _tokens(180, 540), "EUR"),
        Vendor("x-ai", "x-ai", "UTC", "grok-4.3", "USD", _tokens(200, 1000), "USD"),
        Vendor("openrouter", "openrouter", "UTC", "openai/gpt-5.4-20260301", "USD", _tokens(250, 1000), "USD"),
        Vendor("perplexity", "perplexity", "UTC", "sonar", "USD", {**_tokens(100, 100), "requests": 500_000}, "USD"),
        Vendor("naver", "naver", "Asia/Seoul", "HCX-007", "KRW", _tokens(125_000, 500_000), "KRW"),
        Vendor("together", "together", "UTC", "llama-4-maverick", "USD", _tokens(27, 85), "USD"),
        Vendor("seoul-ai", "cohere", "UTC", "command-a-03-2025", "USD", _tokens(250, 1000), "KRW"),
    )
}


class Used(NamedTuple):
    """Tokens of one unit, at 05:00 UTC of a day unless `hour` says otherwise."""

    vendor: str
    day: date
    department: str
    unit: str
    tokens: int
    hour: int = 5

    @property
    def at(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, self.hour, tzinfo=UTC)

    @property
    def cost(self) -> int:
        """In 1e-8 of the vendor's price currency."""
        return self.tokens * VENDORS[self.vendor].prices[self.unit]


EDGE = Used("openai", date(2026, 10, 31), "D001", "output_tokens", 1_000_000, hour=16)
"""October in UTC, 01:00 of 1 November in Seoul: in OpenAI's October, in the organisation's November."""
USE = (
    *(
        Used(vendor, day, department, unit, 400_000 * (place + 1) + 100_000 * number)
        for place, vendor in enumerate(VENDORS)
        for number, day in enumerate(DAYS)
        for department, unit in (("D001", "input_tokens"), ("D002", "input_tokens"), ("D002", "output_tokens"))
    ),
    *(Used("perplexity", day, "D002", "requests", 2) for day in DAYS),
    EDGE,
)


def used_by(vendor: str) -> list[Used]:
    """What ran at a vendor."""
    return [item for item in USE if item.vendor == vendor]


def by_unit(items: Iterable[Used]) -> dict[tuple[date, str], int]:
    """Tokens by day and unit."""
    found: dict[tuple[date, str], int] = {}
    for item in items:
        found[item.day, item.unit] = found.get((item.day, item.unit), 0) + item.tokens
    return found


def money(amount: int, digits: int = 8) -> str:
    """Parts of 10 ** -digits as an exact decimal."""
    sign, whole = ("-" if amount < 0 else ""), 10**digits
    return f"{sign}{abs(amount) // whole}.{abs(amount) % whole:0{digits}d}"


# ------------------------------------------------------------------------------------------------------- APIs' answers


def openai_answer(seen: Seen, number: int) -> Reply:
    """Costs by day and line item, ten buckets a page, with 50,000 tokens on one day that never passed us; or tokens."""
    days = asked_days(seen)
    if seen.path.endswith("/usage/completions"):
        buckets_of_use = [openai_bucket(day, _openai_use(day)) for day in days]
        return Reply.of({"object": "page", "data": buckets_of_use, "has_more": False, "next_page": None})
    start = int(seen.one("page") or 0)
    words = {"input_tokens": "input", "output_tokens": "output"}
    buckets = []
    for day in days[start : start + 10]:
        tokens = by_unit(item for item in used_by("openai") if item.day == day)
        lines = [(VENDORS["openai"].model, words[unit], count, count * VENDORS["openai"].prices[unit])
                 for (_, unit), count in sorted(tokens.items())]  # fmt: skip
        if day == DAYS[1]:
            lines.append(BYPASSED)
        buckets.append(
            f'{{"object":"bucket","start_time":{_unix(day)},"end_time":{_unix(day + ONE_DAY)},"results":['
            + ",".join(
                f'{{"object":"organization.costs.result","amount":{{"value":{money(cost)},"currency":"usd"}},'
                f'"line_item":"{model}, {what}","quantity":{count},"quantity_unit":"tokens","project_id":null}}'
                for model, what, count, cost in lines
            )
            + "]}"
        )
    following = f'"{start + 10}"' if start + 10 < len(days) else "null"
    body = (
        f'{{"object":"page","data":[{",".join(buckets)}],"has_more":{str(following != "null").lower()},'
        f'"next_page":{following}}}'
    )
    return Reply(body.encode())


def _openai_use(day: date) -> list[dict[str, Any]]:
    tokens = by_unit(item for item in used_by("openai") if item.day == day)
    used = [(VENDORS["openai"].model, tokens.get((day, "input_tokens"), 0), tokens.get((day, "output_tokens"), 0))]
    if day == DAYS[1]:
        used.append((BYPASSED[0], BYPASSED[2], 0))
    return [
        {"object": "organization.usage.completions.result", "input_tokens": read, "output_tokens": written,
         "num_model_requests": 1, "project_id": None, "model": model, "batch": None, "service_tier": None}
        for model, read, written in used if read or written
    ]  # fmt: skip


BYPASSED = ("gpt-4o-2024-08-06", "input", 50_000, 50_000 * 250)
"""Billed by OpenAI and never seen at the gateway: 0.125 dollars."""
CORRECTION = 10_000
"""Output tokens that Anthropic adds to a day when it corrects October on 29 November."""


def anthropic_answer(more: int) -> Any:
    """Both reports, a day's output raised by so many tokens."""

    def answer(seen: Seen, number: int) -> Reply:
        buckets = [_anthropic_bucket(day, seen.path.endswith("/cost_report"), more) for day in asked_days(seen)]
        return Reply.of({"data": buckets, "has_more": False, "next_page": None})

    return answer


def _anthropic_bucket(day: date, is_cost: bool, more: int) -> dict[str, Any]:
    vendor = VENDORS["anthropic"]
    ran = by_unit(one for one in used_by("anthropic") if one.day == day)
    tokens = {unit: count for (_, unit), count in ran.items()}
    if day == DAYS[1]:
        tokens["output_tokens"] += more
    common = {"model": vendor.model, "context_window": "0-200k", "service_tier": "standard", "workspace_id": None}
    results: list[dict[str, Any]] = []
    if tokens and is_cost:
        names = {"input_tokens": "uncached_input_tokens", "output_tokens": "output_tokens"}
        results = [
            {"amount": money(count * vendor.prices[unit], 6), "currency": "USD", "cost_type": "tokens",
             "description": "Claude Sonnet 5 Usage", "token_type": names[unit], "inference_geo": None, **common}
            for unit, count in sorted(tokens.items())
        ]  # fmt: skip
    elif tokens:
        results = [{
            "uncached_input_tokens": tokens["input_tokens"], "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": tokens["output_tokens"], "server_tool_use": {"web_search_requests": 0},
            "api_key_id": None, **common,
        }]  # fmt: skip
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + ONE_DAY}T00:00:00Z", "results": results}


XAI_TAX_CENTS = 175


def xai_answer(seen: Seen, number: int) -> Reply:
    """One invoice in whole cents with VAT."""
    vendor, words = VENDORS["x-ai"], {"input_tokens": "Prompt text tokens", "output_tokens": "Completion text tokens"}
    totals = {unit: sum(item.tokens for item in used_by("x-ai") if item.unit == unit) for unit in vendor.prices}
    lines = []
    for unit, count in totals.items():
        cents, rest = divmod(count * vendor.prices[unit], E8 // 100)
        assert not rest, "the scenario's use comes to whole cents"
        lines.append({"description": f"API {vendor.model}", "unitType": words[unit], "numUnits": str(count),
                      "amount": str(cents)})  # fmt: skip
    total = sum(int(line["amount"]) for line in lines)
    core = {"lines": lines, "vatCost": str(XAI_TAX_CENTS), "amountBeforeVat": str(total),
            "totalWithCorr": {"val": str(total + XAI_TAX_CENTS)}}  # fmt: skip
    return Reply.of({"invoices": [{"coreInvoice": core, "billingCycle": {"year": 2026, "month": 10}}]})


def _unix(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


# --------------------------------------------------------------------------------------------------------------- files

AWS_FEE = 75_000_000
NAVER_DISCOUNT = 300
TOGETHER_CREDIT = -50_000_000
MISTRAL_FORGOTTEN = (DAYS[2], "output_tokens")
"""What Mistral does not bill."""
AZURE_DEARER = 17
"""1e-8 dollars that Azure's revised file takes more for each output token of one day."""
RESELLER_RATE = 1435
"""Won that the reseller takes for a dollar of use; ours is 1400."""


def google_export() -> bytes:
    """JSON lines; the use at 05:00 UTC is the Pacific evening before."""
    words = {"input_tokens": "Text Input - Predictions", "output_tokens": "Text Output - Predictions"}
    rows = [
        f'{{"cost_type":"regular","cost":{money(count * VENDORS["google"].prices[unit])},"currency":"USD","credits":[],'
        f'"invoice":{{"month":"202610"}},"service":{{"description":"Vertex AI"}},"project":{{"id":"p"}},'
        f'"sku":{{"description":"Gemini 2.5 Flash GA {words[unit]}"}},"usage":{{"amount":{count},"unit":"count"}},'
        f'"usage_start_time":"{day} 05:00:00 UTC","usage_end_time":"{day} 06:00:00 UTC"}}'
        for (day, unit), count in by_unit(used_by("google")).items()
    ]
    return ("\n".join(rows) + "\n").encode()


def aws_report() -> bytes:
    """CUR 2.0, packed; storage of another service is a fee."""
    span = "2026-10-01T00:00:00.000Z,2026-11-01T00:00:00.000Z"
    header = (
        "bill_billing_period_start_date,bill_billing_period_end_date,line_item_line_item_type,line_item_product_code,"
        "line_item_usage_type,line_item_usage_start_date,line_item_usage_end_date,line_item_usage_amount,pricing_unit,"
        "line_item_unblended_cost,line_item_currency_code,line_item_usage_account_id"
    )
    rows = [header]
    words = {"input_tokens": "input-tokens", "output_tokens": "output-tokens"}
    for (day, unit), count in by_unit(used_by("aws")).items():
        rows.append(
            f"{span},Usage,AmazonBedrock,APN2-NovaPro-{words[unit]},{day}T05:00:00.000Z,{day}T06:00:00.000Z,"
            f"{money(count, 3)},1K tokens,{money(count * VENDORS['aws'].prices[unit])},USD,111122223333"
        )
    rows.append(f"{span},Usage,AmazonS3,APN2-TimedStorage-ByteHrs,{span},7,GB-Mo,{money(AWS_FEE)},USD,111122223333")
    return gzip.compress(("\n".join(rows) + "\n").encode(), mtime=0)


def azure_details(*, revised: bool, dearer: bool = True) -> bytes:
    """Cost details. The first file ends before the last day of use; the revised one has it, and a dearer output
    until that is taken back."""
    header = (
        "Date,BillingPeriodStartDate,BillingPeriodEndDate,MeterName,MeterSubCategory,Quantity,UnitOfMeasure,ChargeType,"
        "BillingCurrencyCode,CostInBillingCurrency,SubscriptionId"
    )
    rows = [header]
    meters = {"input_tokens": "gpt-4.1 Inp glbl Tokens", "output_tokens": "gpt-4.1 Outp glbl Tokens"}
    for (day, unit), count in by_unit(used_by("azure")).items():
        if day == DAYS[2] and not revised:
            continue
        price = VENDORS["azure"].prices[unit]
        if revised and dearer and (day, unit) == (DAYS[0], "output_tokens"):
            price += AZURE_DEARER
        rows.append(
            f"{day.strftime('%m/%d/%Y')},10/01/2026,10/31/2026,{meters[unit]},Azure OpenAI,{money(count, 3)},1K,Usage,"
            f"USD,{money(count * price)},s"
        )
    return ("\n".join(rows) + "\n").encode()


FOCUS_HEADER = (
    "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargeDescription,"
    "ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,ServiceCategory,SkuId,SkuMeter,InvoiceIssuerName"
)
_PERIOD = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z"


def focus(
    vendor: str,
    *,
    rate: int = 1,
    leave_out: Sequence[tuple[date, str]] = (),
    more: Sequence[str] = (),
    currency: str | None = None,
) -> bytes:
    """A FOCUS file of a vendor's use in its billing currency, at so many of it for one of the price's."""
    of = VENDORS[vendor]
    billed_in = currency or of.billed_in
    meters = {"input_tokens": "Input Tokens", "output_tokens": "Output Tokens"}
    rows = [
        f"{money(count * of.prices[unit] * rate)},{billed_in},{_PERIOD},Usage,use,{day}T00:00:00Z,"
        f"{day + ONE_DAY}T00:00:00Z,{count},Tokens,AI and Machine Learning,{of.model},{meters[unit]},{vendor}"
        for (day, unit), count in by_unit(used_by(vendor)).items()
        if (day, unit) not in leave_out
    ]
    return "\n".join([FOCUS_HEADER, *rows, *more, ""]).encode()


def together_credit() -> str:
    """A FOCUS row of a credit for the month."""
    return f"{money(TOGETHER_CREDIT)},USD,{_PERIOD},Credit,promised,{_PERIOD},,,Other,,,together"


def openrouter_activity() -> bytes:
    """A generation for each unit and day."""
    header = (
        "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,"
        "tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug"
    )
    rows = [header]
    of = VENDORS["openrouter"]
    for number, ((day, unit), count) in enumerate(by_unit(used_by("openrouter")).items()):
        tokens = f"{count},0" if unit == "input_tokens" else f"0,{count}"
        rows.append(f"gen-{number},{day} 05:00:00.001,{money(count * of.prices[unit])},0,0,0,0,{tokens},0,0,{of.model}")
    return ("\n".join(rows) + "\n").encode()


def perplexity_answers() -> bytes:
    """An answer for each unit of tokens and day, each with the fee for its request."""
    of, rows = VENDORS["perplexity"], []
    for (day, unit), count in by_unit(one for one in used_by("perplexity") if one.unit != "requests").items():
        read, written = (count, 0) if unit == "input_tokens" else (0, count)
        costs = read * of.prices["input_tokens"], written * of.prices["output_tokens"], of.prices["requests"]
        rows.append(
            f'{{"id":"{day}-{unit}","model":"{of.model}","created":{_unix(day) + 5 * 3600},'
            f'"usage":{{"prompt_tokens":{read},"completion_tokens":{written},"total_tokens":{count},"cost":{{"input_tokens_cost":{money(costs[0])},'
            f'"output_tokens_cost":{money(costs[1])},"request_cost":{money(costs[2])},"total_cost":{money(sum(costs))}}}}}}}'
        )
    return ("\n".join(rows) + "\n").encode()


def naver_bill() -> bytes:
    """Whole won, with a discount."""
    won, rest = divmod(sum(item.cost for item in used_by("naver")), E8)
    assert not rest, "the scenario's use comes to whole won"
    row = {
        "memberNo": "1", "demandMonth": "202610", "productDemandType": {"code": "C", "codeName": "CLOVA Studio"},
        "useAmount": won, "promotionDiscountAmount": NAVER_DISCOUNT, "demandAmount": won - NAVER_DISCOUNT,
        "payCurrency": {"code": "KRW", "codeName": "Won"},
    }  # fmt: skip
    bill = {"returnCode": "0", "productDemandCostList": [row]}
    return json.dumps({"getProductDemandCostListResponse": bill}).encode()


def invoiced(name: str, *, azure_revised: bool, correction: int) -> int:
    """What a vendor's October invoice comes to, in 1e-8 of its currency: our cost and what was planted."""
    ours = sum(item.cost for item in used_by(name))
    prices = VENDORS[name].prices
    match name:
        case "openai":
            return ours + BYPASSED[3]
        case "anthropic":
            return ours + correction * prices["output_tokens"]
        case "azure" if azure_revised:
            output = by_unit(used_by("azure"))[DAYS[0], "output_tokens"]
            return ours + output * AZURE_DEARER
        case "azure":
            return ours - sum(item.cost for item in used_by("azure") if item.day == DAYS[2])
        case "aws":
            return ours + AWS_FEE
        case "x-ai":
            return ours + XAI_TAX_CENTS * E8 // 100
        case "naver":
            return ours - NAVER_DISCOUNT * E8
        case "mistral":
            return ours - by_unit(used_by("mistral"))[MISTRAL_FORGOTTEN] * prices["output_tokens"]
        case "together":
            return ours + TOGETHER_CREDIT
        case "seoul-ai":
            return ours * RESELLER_RATE
    return ours
