"""Files of Anthropic, OpenRouter, xAI, Perplexity and Naver Cloud: golden lines, each trap by its name, refusals."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.anthropic_costs import dollars
from billing.invoices.anthropic_terms import model_id
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, FileKind, VendorLine
from billing.invoices.recognise import IMPORTERS, recognise
from billing.invoices.source import SourceFile
from billing.money import exact

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = Path(__file__).parents[2] / "data" / "invoices"
GOLDEN_FIELDS = ("kind", "account", "model", "unit", "service_tier", "quantity", "amount")
Golden = tuple[int, str, str | None, str | None, str | None, str | None, str | None, str | None]


def text_of(name: str) -> str:
    """A fixture's text."""
    return (FILES / name).read_text(encoding="utf-8")


def read(content: str | bytes, name: str = "a.file") -> tuple[list[VendorLine], set[date], str, FileKind]:
    """Lines, covered days, format and kind."""
    source = SourceFile(name, content.encode() if isinstance(content, str) else content)
    importer = recognise(source).importer
    found = list(importer.read(source))
    lines = [one for one in found if isinstance(one, VendorLine)]
    return lines, {one.day for one in found if isinstance(one, CoveredDay)}, importer.format, importer.kind


def golden(lines: list[VendorLine]) -> Iterator[Golden]:
    """Each line as day of month and plain texts."""
    for line in lines:
        values = (getattr(line, name) for name in GOLDEN_FIELDS)
        texts = [None if value is None else str(value) for value in values]
        yield (line.day.day, *texts)  # type: ignore[misc]


A, FABLE, OPUS = "wrkspc_A", "claude-fable-5", "claude-opus-4-5-20251101"
GPT = "openai/gpt-5.4-20260301"
EXPECTED: dict[str, tuple[str, FileKind, set[int], list[Golden]]] = {
    "anthropic-cost-report.json": (
        "anthropic.cost_report",
        FileKind.COST,
        {1, 2, 3},
        [
            (1, "usage", A, FABLE, "output_tokens", "standard", None, "18.3420"),
            (1, "usage", None, FABLE, "cache_write_1h_tokens", "batch", None, "1.2378912"),
            (1, "usage", None, None, "web_searches", None, None, "0.12"),
            (1, "fee", None, None, None, None, None, "0.055"),
            (1, "credit", A, FABLE, "output_tokens", "standard", None, "-0.0325"),
            (3, "total", None, None, None, None, None, "0.775"),
        ],
    ),
    "anthropic-usage-report.json": (
        "anthropic.usage_report",
        FileKind.USAGE,
        {1},
        [
            (1, "quantity", A, OPUS, "input_tokens", "priority", "1500", None),
            (1, "quantity", A, OPUS, "cache_read_tokens", "priority", "300", None),
            (1, "quantity", A, OPUS, "output_tokens", "priority", "500", None),
            (1, "quantity", A, OPUS, "cache_write_5m_tokens", "priority", "200", None),
            (1, "quantity", A, OPUS, "cache_write_1h_tokens", "priority", "1000", None),
            (1, "quantity", A, OPUS, "web_searches", "priority", "10", None),
            (1, "quantity", None, OPUS, "input_tokens", "flex", "7", None),
        ],
    ),
    "anthropic-cost-14.csv": (
        "anthropic.cost_csv",
        FileKind.COST,
        {15, 16},
        [
            (15, "usage", None, "claude-haiku-4-5", "input_tokens", None, None, "0.19"),
            (15, "usage", None, "claude-haiku-4-5", "input_tokens", None, None, "0.19"),
            (15, "usage", None, "claude-opus-5", "output_tokens", None, None, "0.00"),
            (16, "usage", None, "claude-haiku-4-5", "cache_write_1h_tokens", None, None, "2.20"),
            (16, "credit", None, "claude-haiku-4-5", "cache_write_1h_tokens", None, None, "-1.10"),
            (16, "usage", None, None, "web_searches", None, None, "0.30"),
            (16, "fee", None, None, None, None, None, "0.05"),
        ],
    ),
    "anthropic-cost-9.csv": (
        "anthropic.cost_csv",
        FileKind.COST,
        {1},
        [(1, "usage", None, "claude-3-7-sonnet", "cache_read_tokens", None, None, "0.13")],
    ),
    "anthropic-cost-7.csv": (
        "anthropic.cost_csv",
        FileKind.COST,
        {7},
        [(7, "usage", None, "claude-3-5-sonnet-20241022", "input_tokens", None, None, "0.00")],
    ),
    "anthropic-token.csv": (
        "anthropic.token_csv",
        FileKind.USAGE,
        {5},
        [
            (5, "quantity", None, "claude-opus-5", "input_tokens", "standard", "46981", None),
            (5, "quantity", None, "claude-opus-5", "cache_write_5m_tokens", "standard", "15969", None),
            (5, "quantity", None, "claude-opus-5", "output_tokens", "standard", "16932", None),
            (5, "quantity", None, "claude-opus-5", "input_tokens", "batch", "10", None),
            (5, "quantity", None, "claude-opus-5", "cache_read_tokens", "batch", "4", None),
            (5, "quantity", None, "claude-opus-5", "web_searches", "batch", "2", None),
        ],
    ),
    "openrouter-activity.csv": (
        "openrouter.activity_csv",
        FileKind.COST,
        {28, 29},
        [
            (28, "total", None, GPT, None, None, None, "0.00123456789"),
            (28, "quantity", None, GPT, "input_tokens", None, "600", None),
            (28, "quantity", None, GPT, "cache_read_tokens", None, "400", None),
            (28, "quantity", None, GPT, "output_tokens", None, "150", None),
            (28, "quantity", None, GPT, "reasoning_tokens", None, "50", None),
            (28, "total", None, GPT, None, None, None, "0"),
            (28, "quantity", None, GPT, "input_tokens", None, "10", None),
            (29, "fee", None, None, None, None, None, "0.0005"),
        ],
    ),
    "openrouter-activity.json": (
        "openrouter.activity_api",
        FileKind.COST,
        {28, 29},
        [
            (28, "total", None, GPT, None, None, None, "0.00123456789"),
            (28, "quantity", None, GPT, "input_tokens", None, "1000", None),
            (28, "quantity", None, GPT, "output_tokens", None, "150", None),
            (28, "quantity", None, GPT, "reasoning_tokens", None, "50", None),
            (29, "total", None, GPT, None, None, None, "0.5"),
            (29, "quantity", None, GPT, "input_tokens", None, "1000", None),
            (29, "quantity", None, GPT, "output_tokens", None, "200", None),
            (29, "fee", None, None, None, None, None, "0.0005"),
        ],
    ),
    "xai-preview.json": (
        "x-ai.invoice",
        FileKind.COST,
        set(range(1, 29)),
        [
            (28, "usage", None, "grok-4.3", "input_tokens", None, "5000000", "10.00"),
            (28, "usage", None, "grok-4.3", "cache_read_tokens", None, "1235072", "0.24"),
            (28, "usage", None, "grok-4.3", "reasoning_tokens", None, "230", "0.00"),
            (28, "usage", None, "grok-4.3", "output_tokens", None, "90000", "0.50"),
            (28, "usage", None, "grok-4.3", "output_tokens", None, "90000", "0.50"),
            (28, "usage", None, None, "web_searches", None, "12", "0.06"),
            (28, "tax", None, None, None, None, None, "1.13"),
        ],
    ),
    "perplexity-answers.ndjson": (
        "perplexity.answer_costs",
        FileKind.COST,
        {8},
        [
            (8, "usage", None, "sonar-pro", "input_tokens", None, "322", "0.000966"),
            (8, "usage", None, "sonar-pro", "output_tokens", None, "814", "0.01221"),
            (8, "usage", None, "sonar-pro", "requests", None, "1", "0.006"),
            (8, "usage", None, "sonar", "input_tokens", None, "14", "0.00008"),
            (8, "usage", None, "sonar", "output_tokens", None, "287", "0.00423"),
            (8, "usage", None, "sonar", "web_searches", None, "2", "0.01"),
            (8, "usage", None, "sonar", "requests", None, "1", "0.006"),
        ],
    ),
    "naver-demand.json": (
        "naver.product_demand",
        FileKind.COST,
        set(range(1, 32)),
        [
            (31, "total", "0001", None, None, None, None, "1880530"),
            (31, "credit", "0001", None, None, None, None, "-80000"),
            (31, "credit", "0001", None, None, None, None, "-530"),
            (31, "fee", "0001", None, None, None, None, "1000"),
            (31, "fee", "0001", None, None, None, None, "50000"),
        ],
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_golden_lines(name: str) -> None:
    lines, days, format_name, kind = read(text_of(name), name)
    expected_format, expected_kind, expected_days, expected = EXPECTED[name]
    assert (format_name, kind, {day.day for day in days}) == (expected_format, expected_kind, expected_days)
    assert list(golden(lines)) == expected
    assert {line.currency for line in lines if line.amount is not None} <= {"USD", "KRW"}
    assert all((line.amount is None) == (line.currency is None) for line in lines)


@pytest.mark.parametrize("name", EXPECTED)
def test_one_importer_alone_recognises_a_file_and_says_why(name: str) -> None:
    source = SourceFile(name, (FILES / name).read_bytes())
    found = recognise(source)
    assert found.why
    assert [one.format for one in IMPORTERS if one.recognise(source)] == [found.importer.format]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_byte_order_mark_and_windows_lines_change_nothing(name: str) -> None:
    text = text_of(name)
    assert read("﻿" + text.replace("\n", "\r\n"), name)[0] == read(text, name)[0]


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_ends_in_a_sentence_or_in_whole_lines(name: str, part: float) -> None:
    content = (FILES / name).read_bytes()
    cut = content[: int(len(content) * part)]
    whole = list(golden(read(content, name)[0]))
    try:
        lines = read(cut, name)[0]
    except InvoiceRefused:
        return
    assert list(golden(lines)) != whole


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_encoding_is_refused(name: str, encoding: str) -> None:
    with pytest.raises(InvoiceRefused):
        read(text_of(name).encode(encoding), name)


def test_the_less_or_equal_sign_in_another_code_page_is_refused() -> None:
    text = text_of("anthropic-cost-9.csv")
    with pytest.raises(InvoiceRefused, match="context_window"):
        read(text.encode().decode("cp1252"), "mojibake.csv")


@pytest.mark.parametrize(
    ("display", "name"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("Claude Opus 5", "claude-opus-5"),
        ("Claude Sonnet 3.7", "claude-3-7-sonnet"),
        ("Claude 3.5 Sonnet 2024-10-22", "claude-3-5-sonnet-20241022"),
        ("Claude Opus 3", "claude-3-opus"),
        ("Claude Opus 4.10", "claude-opus-4-10"),
        ("Claude Something Else", "Claude Something Else"),
        ("claude-opus-5", "claude-opus-5"),
    ],
)
def test_display_names(display: str, name: str) -> None:
    assert model_id(display) == name


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False))
def test_cents_are_a_hundredth_exactly(cents: Decimal) -> None:
    amount = dollars("f", "p", "amount", format(cents, "f"))
    with exact():
        assert amount * 100 == cents


CENTS = st.integers(min_value=0, max_value=10**12)


@given(st.lists(CENTS, min_size=1, max_size=5))
def test_xai_lines_come_to_the_stated_total(cents: list[int]) -> None:
    lines = [{"description": "API g", "unitType": "Web searches", "numUnits": "1", "amount": str(n)} for n in cents]
    document = {
        "coreInvoice": {"lines": lines, "totalWithCorr": {"val": str(sum(cents))}},
        "billingCycle": {"year": 2026, "month": 10},
    }
    found = read(json.dumps(document))[0]
    with exact():
        assert sum((line.amount or Decimal(0)) * 100 for line in found) == sum(cents)
    document["coreInvoice"]["totalWithCorr"]["val"] = str(sum(cents) + 1)  # type: ignore[index]
    with pytest.raises(InvoiceRefused, match="add up"):
        read(json.dumps(document))


REPORT = "anthropic-cost-report.json"
USAGE = "anthropic-usage-report.json"
COST_14 = "anthropic-cost-14.csv"
COST_9 = "anthropic-cost-9.csv"
ROUTER = "openrouter-activity.csv"
ACTIVITY = "openrouter-activity.json"
ANSWERS = "perplexity-answers.ndjson"
XAI = "xai-preview.json"
NAVER = "naver-demand.json"
TOKENS = "anthropic-token.csv"
REFUSALS: list[tuple[str, str, str, str]] = [
    (REPORT, '"amount":"12"', '"amount":12', "results[2], amount is '12': this is a text of cents"),
    (REPORT, '"amount":"12"', '"amount":"1,200"', "without thousands commas"),
    (REPORT, '"12","currency":"USD"', '"12","currency":"EUR"', "currency is 'EUR'"),
    (REPORT, '"cost_type":"web_search"', '"cost_type":"magic"', "cost_type is 'magic'"),
    (REPORT, '"token_type":"output_tokens"', '"token_type":"thoughts"', "token_type is 'thoughts'"),
    (REPORT, '"service_tier":"batch"', '"service_tier":"gold"', "service_tier is 'gold'"),
    (REPORT, '"200k-1M"', '"1M-10M"', "context_window is '1M-10M'"),
    (REPORT, '"amount":"12"', '"margin":1,"amount":"12"', "key is 'margin'"),
    (REPORT, "2026-08-02T00:00:00Z\",\"r", "2026-08-01T12:00:00Z\",\"r", "one UTC day"),
    (REPORT, "2026-08-01T00:00:00Z", "2026-08-01T00:00:00", "starting_at"),
    (REPORT, '"model":"claude-fable-5"', '"model":null', "a row of tokens names its model"),
    (REPORT, "Web Search Usage", "Web\\u0000Search", "cannot be printed"),
    (USAGE, '"uncached_input_tokens":1500,', '"uncached_input_tokens":null,', "is absent"),
    (USAGE, '"uncached_input_tokens":1500,', '"uncached_input_tokens":-1,', "is '-1'"),
    (USAGE, '"web_search_requests":10', '"web_fetch_requests":1', "key is 'web_fetch_requests'"),
    (USAGE, f'"model":"{OPUS}"', '"model":null', "group the report by model"),
    (USAGE, "2026-08-01T06:00:00Z", "2026-08-02T06:00:00Z", "one UTC day"),
    (USAGE, '"speed":null', '"speed":"ludicrous"', "speed is 'ludicrous'"),
    (COST_14, "api_key_status", "surcharge", "column 14 is 'surcharge': unknown column"),
    (COST_14, "0.19,0.19,token", '"1,000.19",0.19,token', "line 2, cost_usd is '1,000.19'"),
    (COST_14, "1.10,2.20", "=1+1,2.20", "line 5, cost_usd is '=1+1'"),
    (COST_14, "2026-08-16,Claude", "16/08/2026,Claude", "usage_date_utc is '16/08/2026'"),
    (COST_14, ",output,", ",shouting,", "line 4, token_type is 'shouting'"),
    (COST_14, ",message,", ",telegram,", "usage_type is 'telegram'"),
    (COST_9, "token_type", "kind_of_token", "unknown column"),
    (COST_9, ",token_type", "", "no column 'token_type'"),
    (TOKENS, "46981", "46981.5", "cannot be a fraction"),
    (TOKENS, ",batch,", ",message,", "usage_type is 'message'"),
    (ROUTER, ",1000,200,50,400,", ",300,200,50,400,", "it is part of 300"),
    (ROUTER, "gen-1782691199-bbbb", "gen-1782618417-aaaa", "it stands in line 2 too"),
    (ROUTER, "2026-06-28 23:59:59.999", "28.06.2026 23:59", "created_at is '28.06.2026 23:59'"),
    (ROUTER, "0.00123456789", "$0.001", "cost_total is '$0.001'"),
    (ROUTER, "app_name", "moon_phase", "unknown column"),
    (ACTIVITY, "2026-10-29 00:00:00", "29.10.2026", "data[1], date is '29.10.2026'"),
    (ACTIVITY, '"requests": 5', '"moons": 5', "key is 'moons'"),
    (ACTIVITY, '"reasoning_tokens": 50', '"reasoning_tokens": 500', "it is part of 200"),
    (ACTIVITY, '"2026-10-28"', '"2026-10-28T09:00:00Z"', "a day of UTC"),
    (ACTIVITY, '"7d1c"', '"aaaa"', "stands in data[1] too"),
    (XAI, "Web searches", "Moon trips", "unitType is 'Moon trips'"),
    (XAI, '"amount":"24"', '"amount":24', "this is a text of cents"),
    (XAI, '"val":"1130"', '"val":"1131"', "the lines add up to 11.3"),
    (XAI, '"autoCreditsIssued":"0"', '"autoCreditsIssued":"-5"', "autoCreditsIssued is '-5'"),
    (XAI, '"month":2', '"month":13', "billingCycle is '2026-13'"),
    (XAI, '"numUnits":"230"', '"numUnits":"230","secret":1', "key is 'secret'"),
    (XAI, '"API grok-4.3","unitType":"Prompt', '"Grok","unitType":"Prompt', "a line of tokens names its"),
    (ANSWERS, '"object":"chat.completion"', '"choices":[]', "line 2, key is 'choices'"),
    (ANSWERS, '"total_cost":0.019176', '"total_cost":0.02', "the parts add up to 0.019176"),
    (ANSWERS, "0.019176}", "1e99999999999999999999}", "is not readable JSON (1e99999999999999999999 is not"),
    (ANSWERS, '"r-2"', '"r-1"', "it stands in line 1 too"),
    (ANSWERS, '"request_cost":0.006,"citation', '"fun_cost":0.006,"request_cost":0,"citation', "fun_cost"),
    (ANSWERS, "1759957470", '"yesterday"', "created is 'yesterday'"),
    (NAVER, '"demandAmount":1801000', '"demandAmount":1801001', "use - discounts + penalty is 1801000"),
    (NAVER, '{"code":"KRW"', '{"code":"USD"', "payCurrency.code is 'USD'"),
    (NAVER, '"demandMonth":"202610"', '"demandMonth":"2026-10"', "demandMonth is '2026-10'"),
    (NAVER, '"useAmount":50000', '"useAmount":50000,"giftAmount":1', "key is 'giftAmount'"),
    (NAVER, '"totalRows":2', '"totalRows":3', "totalRows is '3': 2 rows are here"),
    (REPORT, '"model":"claude-fable-5","token_type":"output_tokens"', '"model":"x"', "names its token"),
    (REPORT, '"cost_type":null,"description":null,"model":null', '"model":"claude-fable-5"', "names its token type"),
    (NAVER, '"returnCode":"0"', '"returnCode":"200"', "the vendor's answer is an error"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "said"), REFUSALS)
def test_what_is_not_known_refuses_the_file_by_name(name: str, old: str, new: str, said: str) -> None:
    text = text_of(name)
    assert old in text
    with pytest.raises(InvoiceRefused) as refused:
        read(text.replace(old, new), name)
    assert said in str(refused.value)
    assert name in str(refused.value)
    assert "nothing of this import was stored" in str(refused.value)


def test_a_page_of_empty_buckets_is_not_taken_for_costs() -> None:
    """It could be use as well: as costs it would take the place of days that were billed."""
    document: dict[str, Any] = json.loads(text_of("anthropic-cost-report.json"))
    document["data"] = [document["data"][1]]
    with pytest.raises(InvoiceRefused, match="no vendor file that is known"):
        read(json.dumps(document))


@pytest.mark.parametrize(
    ("reported", "written", "unit"),
    [
        ("uncached_input_tokens", "input_no_cache", "input_tokens"),
        ("cache_creation.ephemeral_5m_input_tokens", "input_cache_write_5m", "cache_write_5m_tokens"),
        ("cache_creation.ephemeral_1h_input_tokens", "input_cache_write_1h", "cache_write_1h_tokens"),
        ("cache_read_input_tokens", "input_cache_read", "cache_read_tokens"),
        ("output_tokens", "output", "output_tokens"),
    ],
)
def test_each_token_type_of_anthropic_is_one_unit(reported: str, written: str, unit: str) -> None:
    report = text_of(REPORT).replace('"token_type":"output_tokens"', f'"token_type":"{reported}"')
    assert read(report)[0][0].unit == unit
    console = text_of(COST_9).replace("input_cache_read", written)
    assert [line.unit for line in read(console)[0]] == [unit]


COUNTS = st.integers(min_value=0, max_value=10**12)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_openrouters_units_are_disjoint_and_lose_nothing(fresh: int, cached: int, spoken: int, thought: int) -> None:
    header, row = text_of(ROUTER).splitlines()[:2]
    counts = f",{fresh + cached},{spoken + thought},{thought},{cached},"
    told = {line.unit: line.quantity for line in read(f"{header}\n{row.replace(',1000,200,50,400,', counts)}\n")[0]}
    expected = {
        "input_tokens": fresh, "cache_read_tokens": cached, "output_tokens": spoken, "reasoning_tokens": thought
    }  # fmt: skip
    assert {unit: count for unit, count in told.items() if unit} == {u: n for u, n in expected.items() if n}


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=9, allow_nan=False))
def test_a_cost_is_the_decimal_that_the_text_writes(cost: Decimal) -> None:
    text = text_of(ROUTER).replace("0.00123456789", format(cost, "f"))
    assert read(text)[0][0].amount == cost


def test_pages_a_line_each_add_up() -> None:
    page = text_of("anthropic-cost-report.json").replace("\n", "")
    assert len(read(f"{page}\n{page}\n")[0]) == 2 * len(read(page)[0])


def test_xai_invoices_in_a_list() -> None:
    one = json.loads(text_of("xai-preview.json"))
    lines, days, *_ = read(json.dumps({"invoices": [one, {**one, "billingCycle": {"year": 2026, "month": 3}}]}))
    assert {line.day for line in lines} == {date(2026, 2, 28), date(2026, 3, 31)}
    assert len(days) == 59


def test_a_million_columns_end_in_a_sentence() -> None:
    with pytest.raises(InvoiceRefused, match=r"no (vendor file|export) that is known"):
        read("usage_date_utc,cost_usd," + ",".join(f"c{n}" for n in range(10**6)) + "\n")


def test_a_nul_in_a_name_is_refused() -> None:
    with pytest.raises(InvoiceRefused):
        read(text_of("openrouter-activity.csv").replace("openai/gpt", "openai\x00gpt", 1))
