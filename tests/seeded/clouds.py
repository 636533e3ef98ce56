"""The shapes of resellers' and clouds' files, written by hand like those of `shapes`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.seeded.months import PICO
from tests.seeded.shapes import CENT, account_of, by_day, decimal, seconds, table, tokens_of

if TYPE_CHECKING:
    from datetime import date

    from tests.seeded.months import SeededMonth
    from tests.seeded.shapes import Files

PACIFIC = ZoneInfo("America/Los_Angeles")


def openrouter(month: SeededMonth) -> Files:
    """The activity CSV: a generation a row, its tokens beside its cost."""
    rows: list[dict[str, Any]] = []
    for day, found in by_day(month).items():
        use = [row for row in found if row.kind == "usage"]
        for place, (model, units) in enumerate(tokens_of(use).items()):
            fresh, cached = units.get("input_tokens", 0), units.get("cache_read_tokens", 0)
            cost = sum(row.pico for row in use if row.at is not None and row.at.model == model)
            rows.append({"generation_id": f"gen-{seconds(day)}-{place}", "created_at": f"{day} 03:46:57.713",
                         "cost_total": decimal(cost), "tokens_prompt": fresh + cached, "tokens_cached": cached,
                         "tokens_completion": units.get("output_tokens", 0), "tokens_reasoning": 0,
                         "model_permaslug": model, "variant": "standard"})  # fmt: skip
        for place, row in enumerate(row for row in found if row.kind != "usage"):
            own = "0.01" if row.kind == "fee" else ""
            rows.append({"generation_id": f"gen-{seconds(day)}-x{place}", "created_at": f"{day} 05:00:00",
                         "cost_total": decimal(row.pico), "tokens_prompt": 0, "tokens_completion": 0,
                         "byok_usage_inference": own, "model_permaslug": month.shape.models[0]})  # fmt: skip
    columns = ("generation_id", "created_at", "cost_total", "byok_usage_inference", "tokens_prompt",
               "tokens_completion", "tokens_reasoning", "tokens_cached", "model_permaslug", "variant")  # fmt: skip
    return [("activity.csv", table(columns, rows))]


PERPLEXITY_PARTS = {"input_tokens": ("input_tokens_cost", "prompt_tokens"),
                    "output_tokens": ("output_tokens_cost", "completion_tokens")}  # fmt: skip


def perplexity(month: SeededMonth) -> Files:
    """An answer for each row; requests are answers without tokens."""
    answers = []
    for number, row in enumerate(month.rows):
        assert row.at is not None
        costs, counts = {"request_cost": 0}, {"prompt_tokens": 0, "completion_tokens": 0}
        pieces, pico = (row.tokens, row.pico) if row.at.unit == "requests" else (1, row.pico)
        for piece in range(pieces):
            part = pico // pieces + (pico % pieces if piece == 0 else 0)
            parts: dict[str, Any] = dict(costs)
            usage: dict[str, Any] = dict(counts)
            if row.at.unit == "requests":
                parts["request_cost"] = f"@{decimal(part)}@"
            else:
                cost, counted = PERPLEXITY_PARTS[row.at.unit]
                parts[cost], usage[counted] = f"@{decimal(part)}@", row.tokens
                del parts["request_cost"]
                parts["request_cost"] = None
            usage["cost"] = {**parts, "total_cost": f"@{decimal(part)}@"}
            answers.append(json.dumps({"id": f"r-{number}-{piece}", "model": row.at.model,
                                       "created": seconds(row.day) + 60 * piece, "usage": usage}))  # fmt: skip
    return [("answers.ndjson", "\n".join(answers).replace('"@', "").replace('@"', "") + "\n")]


XAI_UNITS = {"input_tokens": "Prompt text tokens", "cache_read_tokens": "Cached prompt text tokens",
             "output_tokens": "Completion text tokens"}  # fmt: skip


def xai(month: SeededMonth) -> Files:
    """The invoice of a month, in whole cents."""
    lines, tax = [], 0
    for row in month.rows:
        if row.kind == "tax":
            tax += row.pico
        else:
            model = row.at.model if row.at is not None else month.shape.models[0]
            unit = row.at.unit if row.at is not None else "output_tokens"
            lines.append({"description": f"API {model}", "unitType": XAI_UNITS[unit], "numUnits": str(row.tokens),
                          "amount": str(row.pico // CENT)})  # fmt: skip
    total = sum(row.pico for row in month.rows) // CENT
    core = {"lines": lines, "vatCost": str(tax // CENT), "totalWithCorr": {"val": str(total)}}
    cycle = {"year": month.first.year, "month": month.first.month}
    return [("invoice.json", json.dumps({"coreInvoice": core, "billingCycle": cycle}))]


def naver(month: SeededMonth) -> Files:
    """Products of a month, in whole won: one sum of all models, discounts and other products."""
    use = sum(row.pico for row in month.rows if row.kind == "usage") // PICO
    credit = -sum(row.pico for row in month.rows if row.kind == "credit") // PICO
    fee = sum(row.pico for row in month.rows if row.kind == "fee") // PICO
    name = f"{month.first:%Y%m}"
    rows: list[dict[str, Any]] = [
        {"memberNo": "0001", "demandMonth": name, "productDemandType": {"code": "CLVS", "codeName": "CLOVA Studio"},
         "useAmount": use, "creditDiscountAmount": credit, "demandAmount": use - credit,
         "payCurrency": {"code": "KRW"}},
    ]  # fmt: skip
    if fee:
        rows.append({"memberNo": "0001", "demandMonth": name, "productDemandType": {"code": "S", "codeName": "Server"},
                     "useAmount": fee, "demandAmount": fee, "payCurrency": {"code": "KRW"}})  # fmt: skip
    answer = {"returnCode": "0", "totalRows": len(rows), "productDemandCostList": rows}
    return [("demand.json", json.dumps({"getProductDemandCostListResponse": answer}))]


FOCUS_METERS = {"input_tokens": "Input Tokens", "cache_read_tokens": "Cache Read Input Tokens",
                "output_tokens": "Output Tokens"}  # fmt: skip
FOCUS_KINDS = {"usage": "Usage", "tax": "Tax", "credit": "Credit", "fee": "Purchase"}


def following(month: SeededMonth) -> date:
    """The first day of the next month."""
    return month.days[-1] + timedelta(1)


def focus(month: SeededMonth) -> Files:
    """FOCUS from anybody, in the shape's currency, by days or by the month."""
    rows, whole = [], month.shape.grain == "month"
    for row in month.rows:
        one: dict[str, Any] = {
            "BilledCost": decimal(row.pico, 2 if month.shape.step == CENT else 12),
            "BillingCurrency": month.shape.currency,
            "ChargeCategory": FOCUS_KINDS[row.kind],
            "ChargePeriodStart": f"{month.first if whole else row.day}T00:00:00Z",
            "ChargePeriodEnd": f"{row.day + timedelta(1)}T00:00:00Z", "SubAccountId": account_of(row) or "",
            "BillingPeriodStart": f"{month.first}T00:00:00Z", "BillingPeriodEnd": f"{following(month)}T00:00:00Z",
            "ServiceCategory": "AI and Machine Learning", "InvoiceIssuerName": "Reseller",
            "ChargeDescription": row.kind,
        }  # fmt: skip
        if row.at is not None:
            one |= {"ConsumedQuantity": row.tokens, "ConsumedUnit": "Tokens", "SkuId": row.at.model,
                    "SkuMeter": FOCUS_METERS[row.at.unit]}  # fmt: skip
        rows.append(one)
    columns = ("BilledCost", "BillingCurrency", "ChargeCategory", "ChargeClass", "ChargePeriodStart",
               "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd", "ConsumedQuantity", "ConsumedUnit",
               "ServiceCategory", "InvoiceIssuerName", "SkuId", "SkuMeter", "SkuPriceDetails",
               "SubAccountId", "ChargeDescription")  # fmt: skip
    return [("focus.csv", table(columns, rows))]


AWS_METERS = {"input_tokens": "input-tokens", "cache_read_tokens": "cache-read-input-token-count",
              "output_tokens": "output-tokens"}  # fmt: skip
AWS_KINDS = {"usage": "Usage", "tax": "Tax", "credit": "Credit", "fee": "Fee"}


def aws(month: SeededMonth) -> Files:
    """AWS's CUR 2.0: Bedrock's own models, thousands and millions of tokens in one bill."""
    rows = []
    for number, row in enumerate(month.rows):
        one: dict[str, Any] = {
            "bill_billing_period_start_date": f"{month.first}T00:00:00.000Z",
            "bill_billing_period_end_date": f"{following(month)}T00:00:00.000Z",
            "line_item_currency_code": "USD", "line_item_line_item_type": AWS_KINDS[row.kind],
            "line_item_product_code": "AmazonBedrock", "line_item_unblended_cost": decimal(row.pico),
            "line_item_usage_account_id": account_of(row) or "111122223333", "line_item_usage_amount": "0",
            "line_item_usage_start_date": f"{row.day}T04:00:00.000Z",
            "line_item_usage_end_date": f"{row.day}T05:00:00.000Z", "line_item_line_item_description": row.kind,
        }  # fmt: skip
        if row.at is not None:
            size, word = ((1_000, "1K tokens"), (1_000_000, "1M tokens"))[number % 2]
            one |= {"line_item_usage_type": f"USE1-{row.at.model}-{AWS_METERS[row.at.unit]}", "pricing_unit": word,
                    "line_item_usage_amount": decimal(row.tokens * PICO // size)}  # fmt: skip
        rows.append(one)
    columns = ("bill_billing_period_start_date", "bill_billing_period_end_date", "line_item_currency_code",
               "line_item_line_item_type", "line_item_product_code", "line_item_unblended_cost",
               "line_item_usage_account_id", "line_item_usage_amount", "line_item_usage_start_date",
               "line_item_usage_end_date", "line_item_line_item_description", "line_item_usage_type",
               "pricing_unit", "product")  # fmt: skip
    return [("cur.csv", table(columns, rows))]


AZURE_WORDS = {"input_tokens": "Inp glbl", "cache_read_tokens": "cached Inp glbl", "output_tokens": "opt glbl"}
AZURE_KINDS = {"usage": "Usage", "fee": "Purchase", "credit": "Refund"}


def azure(month: SeededMonth) -> Files:
    """Azure's cost details of actual cost."""
    rows = []
    for row in month.rows:
        one: dict[str, Any] = {
            "billingPeriodStartDate": month.first, "billingPeriodEndDate": month.days[-1], "date": row.day,
            "meterCategory": "Cognitive Services", "meterSubCategory": "Azure OpenAI",
            "SubscriptionId": account_of(row) or "s1",
            "chargeType": AZURE_KINDS[row.kind], "billingCurrency": "USD", "costInBillingCurrency": decimal(row.pico),
            "quantity": "1", "unitOfMeasure": "1", "meterName": row.kind,
        }  # fmt: skip
        if row.at is not None:
            model = row.at.model.replace("gpt-", "gpt ").replace("-mini", " mini")
            one |= {"meterName": f"{model} {AZURE_WORDS[row.at.unit]} Tokens", "unitOfMeasure": "1K",
                    "quantity": decimal(row.tokens * PICO // 1_000)}  # fmt: skip
        rows.append(one)
    columns = ("billingPeriodStartDate", "billingPeriodEndDate", "date", "meterName", "meterCategory",
               "meterSubCategory", "SubscriptionId", "quantity", "unitOfMeasure", "chargeType", "billingCurrency",
               "costInBillingCurrency")  # fmt: skip
    return [("azure.csv", table(columns, rows))]


GOOGLE_WORDS = {"input_tokens": "Text Input - Predictions", "cache_read_tokens": "Text Input Caching",
                "output_tokens": "Text Output - Predictions"}  # fmt: skip
GOOGLE_KINDS = {"usage": "regular", "tax": "tax", "fee": "adjustment", "credit": "adjustment"}


def google(month: SeededMonth) -> Files:
    """Google's billing export as JSON lines; days are Pacific, times UTC."""
    lines = []
    for row in month.rows:
        noon = datetime.combine(row.day, time(21), PACIFIC).astimezone(UTC)
        name = f"{row.at.model.replace('-', ' ')} {GOOGLE_WORDS[row.at.unit]}" if row.at is not None else row.kind
        one = {
            "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"}, "sku": {"id": "S", "description": name},
            "usage_start_time": f"{noon:%Y-%m-%d %H:%M:%S} UTC",
            "usage_end_time": f"{noon + timedelta(hours=1):%Y-%m-%d %H:%M:%S} UTC",
            "project": {"id": account_of(row) or "p-1"},
            "cost": "@", "currency": "USD", "currency_conversion_rate": 1,
            "usage": {"amount": row.tokens, "unit": "count"}, "credits": [],
            "invoice": {"month": f"{month.first:%Y%m}"}, "cost_type": GOOGLE_KINDS[row.kind],
        }  # fmt: skip
        lines.append(json.dumps(one).replace('"@"', decimal(row.pico)))
    return [("export.json", "\n".join(lines) + "\n")]
