"""Every importer against the same bad files: each is refused whole, in a sentence that begins with the file's name."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from billing.invoices import source as source_module
from billing.invoices.errors import InvoiceRefused
from billing.invoices.mapped_table import MappedTable
from billing.invoices.mapping import MappingFile
from billing.invoices.recognise import IMPORTERS, mapped, recognise
from billing.invoices.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "invoices"
MAPPING = (ROOT / "docs" / "examples" / "invoice-mapping.toml").read_bytes()


class Sample(NamedTuple):
    """A good file and which of its fields hold an amount (or a quantity), a date, a currency and a text."""

    content: str
    figure: str
    date: str
    currency: str | None
    text: str


OPENAI_COST = """start_time,end_time,amount_value,amount_currency,line_item,project_id,organization_id,organization_name
1790812800,1790899200,0.5,usd,"gpt-5-mini, input",p,o,n
1790899200,1790985600,0.7,usd,"gpt-5-mini, output",p,o,n
"""
OPENAI_USAGE = """start_time,end_time,num_model_requests,model,batch,service_tier,input_tokens,output_tokens,\
input_cached_tokens,input_uncached_tokens
1790812800,1790899200,2,gpt-5-mini,FALSE,default,10,5,4,6
"""
GOOGLE = "\n".join(json.dumps({
    "service": {"description": "Vertex AI"}, "sku": {"description": "Gemini 2.5 Flash GA Text Input - Predictions"},
    "usage_start_time": "2026-10-05 06:00:00 UTC", "usage_end_time": "2026-10-05 07:00:00 UTC", "project": {"id": "p"},
    "cost": "0.5", "currency": "USD", "usage": {"amount": 10, "unit": "count"}, "credits": [],
    "invoice": {"month": "202610"}, "cost_type": "regular",
}) for _ in range(2))  # fmt: skip
OPENAI_USAGE_PAGE = json.dumps({"object": "page", "has_more": False, "next_page": None, "data": [{
    "object": "bucket", "start_time": 1790812800, "end_time": 1790899200, "results": [{
        "object": "organization.usage.completions.result", "input_tokens": 10, "output_tokens": 5,
        "input_cached_tokens": 4, "input_uncached_tokens": 6, "num_model_requests": 2, "model": "gpt-5-mini",
    }],
}]})  # fmt: skip
ENTRY = {"usage_type": "usage", "event_type": "api_tokens", "billing_metric": "m", "billing_group": "input",
         "timestamp": "2026-10-14", "value": 5, "value_paid": 5}  # fmt: skip
PRICE = {"event_type": "api_tokens", "billing_metric": "m", "billing_group": "input", "price": "0.1"}
MISTRAL = json.dumps([{
    "completion": {"models": {"m": {"input": [ENTRY]}}}, "start_date": "2026-10-01T00:00:00Z",
    "end_date": "2026-10-31T23:59:59Z", "currency": "USD", "prices": [PRICE],
}] * 2)  # fmt: skip


FOCUS_MONTH = (
    "BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,BillingPeriodEnd,"
    "ConsumedQuantity,ConsumedUnit,SkuId,SkuMeter,ChargeDescription\n"
    + "1.5,USD,Usage,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,"
    "500000,Tokens,maker-large-1,Input Tokens,use\n" * 2
)


def data(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


SAMPLES = {
    "openai.costs_api": Sample((ROOT / "docs/examples/openai-costs-2026-10.json").read_text(), "value", "start_time",
                               "currency", "line_item"),
    "openai.cost_csv": Sample(OPENAI_COST, "amount_value", "start_time", "amount_currency", "line_item"),
    "openai.usage_csv": Sample(OPENAI_USAGE, "output_tokens", "start_time", None, "model"),
    "openai.usage_api": Sample(OPENAI_USAGE_PAGE, "output_tokens", "start_time", None, "model"),
    "anthropic.cost_report": Sample(data("anthropic-cost-report.json"), "amount", "starting_at", "currency", "model"),
    "anthropic.analytics_cost": Sample(data("anthropic-analytics.json"), "amount", "starting_at", "currency", "model"),
    "anthropic.usage_report": Sample(data("anthropic-usage-report.json"), "output_tokens", "starting_at", None,
                                     "model"),
    "anthropic.cost_csv": Sample(data("anthropic-cost-14.csv"), "cost_usd", "usage_date_utc", None, "model"),
    "anthropic.token_csv": Sample(data("anthropic-token.csv"), "usage_output_tokens", "usage_date_utc", None,
                                  "model_version"),
    "openrouter.activity_csv": Sample(data("openrouter-activity.csv"), "cost_total", "created_at", None,
                                      "model_permaslug"),
    "openrouter.activity_api": Sample(data("openrouter-activity.json"), "usage", "date", None, "model_permaslug"),
    "perplexity.answer_costs": Sample(data("perplexity-answers.ndjson"), "total_cost", "created", None, "model"),
    "x-ai.invoice": Sample(data("xai-preview.json"), "amount", "month", None, "description"),
    "naver.product_demand": Sample(data("naver-demand.json"), "useAmount", "demandMonth", "payCurrency", "codeName"),
    "focus.csv": Sample(data("focus_1_2.csv"), "BilledCost", "ChargePeriodStart", "BillingCurrency",
                        "ChargeDescription"),
    "focus.by_month": Sample(FOCUS_MONTH, "BilledCost", "ChargePeriodEnd", "BillingCurrency", "ChargeDescription"),
    "aws.cur2_csv": Sample(data("aws_cur2.csv"), "line_item_unblended_cost", "line_item_usage_start_date",
                           "line_item_currency_code", "line_item_usage_type"),
    "azure.cost_details_csv": Sample(data("azure_mca.csv"), "costInBillingCurrency", "date", "billingCurrency",
                                     "meterName"),
    "google.billing_export": Sample(GOOGLE, "cost", "usage_start_time", "currency", "description"),
    "mistral.admin_usage": Sample(MISTRAL, "value", "timestamp", "currency", "billing_metric"),
    "generic.by_day": Sample((ROOT / "docs/examples/invoice-typed.csv").read_text(), "금액", "이용일", None, "모델"),
}  # fmt: skip


def read(name: str, content: bytes) -> list[Any]:
    """All that the importer of a sample reads."""
    source = SourceFile("bill", content)
    found = mapped(source, MappingFile("map.toml", MAPPING)) if name == "generic.by_day" else recognise(source)
    return list(found.importer.read(source))


def is_json(sample: Sample) -> bool:
    return sample.content.lstrip()[:1] in {"{", "["}


def with_cell(sample: Sample, field: str, value: str, *, row: int = 0) -> str:
    """The sample with a value of its first (or another) row replaced."""
    if not is_json(sample):
        header, *rows = csv.reader(io.StringIO(sample.content))
        rows[row][header.index(field)] = value
        return written([header, *rows])
    return in_json(sample, field, row, lambda holder: holder.__setitem__(field, value))


def written(rows: list[list[str]]) -> str:
    target = io.StringIO()
    csv.writer(target).writerows(rows)
    return target.getvalue()


def in_json(sample: Sample, field: str, row: int, change: Callable[[dict[str, Any]], None]) -> str:
    """The sample with the object changed that holds a field (its first, or another, that is not null)."""
    try:
        pages = [json.loads(sample.content)]
    except ValueError:
        pages = [json.loads(line) for line in sample.content.splitlines() if line.strip()]
    change([holder for page in pages for holder in holders(page, field)][row])
    return "\n".join(json.dumps(page) for page in pages)


def holders(value: Any, field: str) -> list[dict[str, Any]]:
    """Every object that has a field with a value, in the file's order."""
    if isinstance(value, list):
        return [found for entry in value for found in holders(entry, field)]
    if not isinstance(value, dict):
        return []
    mine = [value] if value.get(field) is not None else []
    return mine + [found for entry in value.values() for found in holders(entry, field)]


def renamed(sample: Sample, to: str | None) -> str:
    """The figure's column or key with another name, or (None) not there."""
    if is_json(sample):
        def change(holder: dict[str, Any]) -> None:
            value = holder.pop(sample.figure)
            if to is not None:
                holder[to] = value

        return in_json(sample, sample.figure, 0, change)
    rows = list(csv.reader(io.StringIO(sample.content)))
    place = rows[0].index(sample.figure)
    if to is not None:
        rows[0][place] = to
        return written(rows)
    return written([row[:place] + row[place + 1 :] for row in rows])


def added(sample: Sample) -> str:
    """One more column or key."""
    if is_json(sample):
        return in_json(sample, sample.figure, 0, lambda holder: holder.__setitem__("surprise", 1))
    header, *rows = csv.reader(io.StringIO(sample.content))
    return written([[*header, "surprise"], *([*row, "1"] for row in rows)])


def mixed(sample: Sample) -> str | None:
    """Two currencies in one file; None where the file names none."""
    if sample.currency is None:
        return None
    if sample.currency == "payCurrency":
        return sample.content.replace('"code":"KRW"', '"code":"USD"', 1)
    return with_cell(sample, sample.currency, "JPY", row=1)


def encoded(sample: Sample, name: str) -> bytes:
    """The content in another encoding; a sign that UTF-8 has as several bytes stands in it."""
    text = with_cell(sample, sample.text, "modèle")
    return text.replace("\\u00e8", "è").encode(name, "ignore")


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


BAD: dict[str, Callable[[Sample], bytes | str | None]] = {
    "truncated gzip": lambda sample: halved(gzip.compress(sample.content.encode())),
    "latin-1": lambda sample: encoded(sample, "latin-1"),
    "utf-16": lambda sample: sample.content.encode("utf-16"),
    "column added": added,
    "column renamed": lambda sample: renamed(sample, "amount_of_it"),
    "column missing": lambda sample: renamed(sample, None),
    "mixed currencies": mixed,
    "thousands commas": lambda sample: with_cell(sample, sample.figure, "1,23,4.50"),
    "two kinds of date": lambda sample: with_cell(sample, sample.date, "14 Oct 2026"),
    "10 MB in a cell": lambda sample: with_cell(sample, sample.text, "x" * 10_000_000),
    "formula as amount": lambda sample: with_cell(sample, sample.figure, "=1+1"),
    "formula as text": lambda sample: with_cell(sample, sample.text, '=HYPERLINK("x")'),
    "cut": lambda sample: sample.content.encode()[: int(len(sample.content.encode()) * 0.7)] + b'"',
}


def test_every_importer_has_a_sample() -> None:
    assert set(SAMPLES) == {importer.format for importer in IMPORTERS} | {MappedTable(None).format}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_good(name: str) -> None:
    """As they are, and packed."""
    assert read(name, SAMPLES[name].content.encode())
    assert read(name, gzip.compress(SAMPLES[name].content.encode()))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_bad_file_is_refused_whole_and_by_name(name: str, bad: str) -> None:
    found = BAD[bad](SAMPLES[name])
    if found is None:
        return
    with pytest.raises(InvoiceRefused) as refused:
        read(name, found if isinstance(found, bytes) else found.encode())
    said = str(refused.value)
    assert said.startswith("bill"), said
    assert len(said) < 4000
    assert "nothing of this import was stored" in said


@pytest.mark.parametrize("name", SAMPLES)
def test_a_zip_bomb_is_not_unpacked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte packed into a kilobyte, with limits as far below it as the real ones are below a real one."""
    monkeypatch.setattr(source_module, "FILE_BYTES_MAX", 300_000)
    monkeypatch.setattr(source_module, "UNPACKED_BYTES_MAX", 300_000)
    content = SAMPLES[name].content.encode()
    bomb = gzip.compress(content.rstrip() + b"\n" * 2 + b" " * 1_000_000)
    with pytest.raises(InvoiceRefused, match="bill"):
        read(name, bomb)
