"""OpenAI's files: what each trap of a real export reads as, and what is refused by name."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_items import LineItem, parse_line_item
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1759622400
DAY = date(2025, 10, 5)
COST_HEADER = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,"
    "organization_id,organization_name"
)
USAGE_HEADER = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
    "service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens,input_text_tokens,"
    "output_text_tokens,input_cached_text_tokens,input_audio_tokens,input_cached_audio_tokens,output_audio_tokens,"
    "input_image_tokens,input_cached_image_tokens,output_image_tokens"
)
WHEN = f"{START},{START + 86400},2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00"


def result(amount: str = "0.06", item: str = '"gpt-4o-2024-08-06, Input"', more: str = "") -> str:
    """A result of the costs API."""
    return (
        f'{{"object":"organization.costs.result","amount":{{"value":{amount},"currency":"usd"}},"line_item":{item},'
        f'"project_id":null{more}}}'
    )


def page(*results: str, start: int = START, length: int = 86400) -> str:
    """A page of one bucket."""
    return (
        f'{{"object":"page","data":[{{"object":"bucket","start_time":{start},"end_time":{start + length},'
        f'"results":[{",".join(results)}]}}],"has_more":false,"next_page":null}}'
    )


def read(text: str | bytes, name: str = "a.json") -> tuple[list[VendorLine], set[date], str, FileKind]:
    """Lines, covered days, format and kind."""
    source = SourceFile(name, text.encode() if isinstance(text, str) else text)
    importer = recognise(source).importer
    found = list(importer.read(source))
    lines = [one for one in found if isinstance(one, VendorLine)]
    return lines, {one.day for one in found if isinstance(one, CoveredDay)}, importer.format, importer.kind


def amounts(lines: Sequence[VendorLine]) -> list[Decimal | None]:
    """Their amounts."""
    return [line.amount for line in lines]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt-6-astra, input_tokens", LineItem(LineKind.USAGE, "gpt-6-astra", "input_tokens")),
        ("gpt-4o-2024-08-06, Input", LineItem(LineKind.USAGE, "gpt-4o-2024-08-06", "input_tokens")),
        ("gpt-5.6-luna, input", LineItem(LineKind.USAGE, "gpt-5.6-luna", "input_tokens")),
        ("gpt-5.6-luna, OUTPUT", LineItem(LineKind.USAGE, "gpt-5.6-luna", "output_tokens")),
        ("gpt-5, cached input", LineItem(LineKind.USAGE, "gpt-5", "cache_read_tokens")),
        ("gpt-5, cached_input_tokens", LineItem(LineKind.USAGE, "gpt-5", "cache_read_tokens")),
        ("gpt-5, cache write", LineItem(LineKind.USAGE, "gpt-5", "cache_write_tokens")),
        ("gpt-realtime-2.1, audio input", LineItem(LineKind.USAGE, "gpt-realtime-2.1", "audio_input_tokens")),
        (
            "gpt-realtime-2.1, cached audio input",
            LineItem(LineKind.USAGE, "gpt-realtime-2.1", "cache_read_audio_tokens"),
        ),
        ("gpt-realtime, text output", LineItem(LineKind.USAGE, "gpt-realtime", "output_tokens")),
        ("ft:gpt-4o:acme, inc, image input", LineItem(LineKind.USAGE, "ft:gpt-4o:acme, inc", "image_input_tokens")),
        ("gpt-4o, batch input", LineItem(LineKind.USAGE, "gpt-4o", "input_tokens", "batch")),
        ("web search tool calls", LineItem(LineKind.USAGE, None, "web_searches")),
        ("Tax", LineItem(LineKind.TAX)),
        ("VAT 10%", LineItem(LineKind.TAX)),
        ("Promotional credit", LineItem(LineKind.CREDIT)),
        ("platform fee", LineItem(LineKind.FEE)),
        ("", LineItem(LineKind.TOTAL)),
        ("gpt-4o", None),
        ("gpt-4o, input surprise", None),
        ("gpt-4o, input output", None),
        ("gpt-4o, cached output", None),
        ("gpt-4o, cached", LineItem(LineKind.USAGE, "gpt-4o", "cache_read_tokens")),
        ("Input", None),
    ],
)
def test_line_items(text: str, expected: LineItem | None) -> None:
    assert parse_line_item(text) == expected


def test_a_page_a_list_of_pages_and_a_page_a_line_read_alike() -> None:
    one, two = page(result("0.1")), page(result("0.2"), start=START + 86400)
    assert amounts(read(one)[0]) == [Decimal("0.1")]
    for text in (f"[{one},{two}]", f"{one}\n{two}\n", f"\n{one}\r\n{two}"):
        lines, days, name, _ = read(text)
        assert amounts(lines) == [Decimal("0.1"), Decimal("0.2")]
        assert days == {DAY, date(2025, 10, 6)}
        assert name == "openai.costs_api"


@pytest.mark.parametrize("written", ["0.1", "0.30000000000000004", "1e-7", "12", "-0.5", "0.8958740000000000"])
def test_amounts_are_the_decimals_that_the_text_writes(written: str) -> None:
    (line,) = read(page(result(written)))[0]
    assert line.amount == Decimal(written)
    assert line.amount is not None
    assert str(line.amount) == str(Decimal(written))
    assert line.currency == "USD"


def test_a_bucket_without_results_covers_its_day() -> None:
    lines, days, _, kind = read(page())
    assert (lines, days, kind) == ([], {DAY}, FileKind.COST)


@pytest.mark.parametrize(
    ("quantity", "unit", "tokens", "step"),
    [
        ("59200.0", '"tokens"', 59200, 1),
        ("59.2", '"1000_tokens"', 59200, 100),
        ("59.200000000000003", '"1000_tokens"', 59200, None),
        ("7", "null", 7, 1),
    ],
)
def test_quantities_come_in_our_unit(quantity: str, unit: str, tokens: int, step: int | None) -> None:
    (line,) = read(page(result(more=f',"quantity":{quantity},"quantity_unit":{unit}')))[0]
    assert line.quantity == tokens
    assert step is None or line.quantity_step == step


def test_money_back_without_use_taken_back_is_a_credit_and_a_correction_stays_use() -> None:
    credit, correction = read(page(result("-0.5"), result("-0.5", more=',"quantity":-10,"quantity_unit":"tokens"')))[0]
    assert credit.kind is LineKind.CREDIT
    assert (correction.kind, correction.quantity) == (LineKind.USAGE, Decimal(-10))


def test_equal_rows_inside_one_file_are_both_kept() -> None:
    assert len(read(page(result(), result()))[0]) == 2


def test_the_dashboards_cost_csv_with_an_empty_day() -> None:
    lines, days, name, kind = read(
        f"{COST_HEADER}\n{WHEN},0.8958740000000000,usd,,,org-1,Personal\n"
        f"{START + 86400},{START + 172800},2025-10-06T00:00:00+00:00,2025-10-07T00:00:00+00:00,,,,,,\n", "c.csv"
    )  # fmt: skip
    assert (name, kind) == ("openai.cost_csv", FileKind.COST)
    assert days == {DAY, date(2025, 10, 6)}
    assert [(line.kind, line.amount, line.model) for line in lines] == [(LineKind.TOTAL, Decimal("0.895874"), None)]


def test_the_dashboards_cost_csv_grouped_by_line_item() -> None:
    lines = read(f'﻿{COST_HEADER}\r\n{WHEN},0.5,usd,"gpt-5, cached input",proj_a,org-1,Personal\r\n', "c.csv")[0]
    assert [(line.text, line.unit, line.account) for line in lines] == [
        ("gpt-5, cached input", "cache_read_tokens", "proj_a")
    ]


def usage_row(cells: str, extra: str = "") -> str:
    """A usage file of one row: cells from input_tokens on."""
    return f"{USAGE_HEADER}\n{WHEN},,3.0,,,gpt-4o-2024-08-06,FALSE,default,{cells}\n{extra}"


def units(text: str) -> dict[str | None, Decimal | None]:
    """What each unit comes to."""
    lines = read(text, "u.csv")[0]
    return {line.unit: line.quantity for line in lines}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("59200.0,10646.0,5760.0,53440.0,,,,,,,,,",
         {"input_tokens": 53440, "cache_read_tokens": 5760, "output_tokens": 10646}),
        ("59200,10646,5760,53440,53440,10646,5760,0,0,0,0,0,0",
         {"input_tokens": 53440, "cache_read_tokens": 5760, "output_tokens": 10646}),
        ("100,30,10,90,60,20,4,30,6,10,0,0,0",
         {"input_tokens": 60, "audio_input_tokens": 30, "cache_read_tokens": 4, "cache_read_audio_tokens": 6,
          "output_tokens": 20, "audio_output_tokens": 10}),
        ("100,30,10,90,64,20,4,36,6,10,0,0,0",
         {"input_tokens": 60, "audio_input_tokens": 30, "cache_read_tokens": 4, "cache_read_audio_tokens": 6,
          "output_tokens": 20, "audio_output_tokens": 10}),
        ("100,30,10,90,0,0,0,0,0,0,0,0,0", {"input_tokens": 90, "cache_read_tokens": 10, "output_tokens": 30}),
    ],
    ids=["floats as integers", "split told", "audio without cached", "audio with cached", "split not told"],
)  # fmt: skip
def test_inclusive_input_splits_into_disjoint_units(cells: str, expected: dict[str, int]) -> None:
    assert units(usage_row(cells)) == expected


def test_duplicates_are_rows_of_their_own_and_a_blank_row_covers_its_day() -> None:
    row = usage_row("100,30,10,90,,,,,,,,,")
    lines, days, name, kind = read(
        row + row.splitlines()[1] + f"\n{START + 86400},{START + 172800}" + "," * 22 + "\n", "u.csv"
    )
    assert (name, kind) == ("openai.usage_csv", FileKind.USAGE)
    assert [line.quantity for line in lines if line.unit == "input_tokens"] == [90, 90]
    assert days == {DAY, date(2025, 10, 6)}
    assert {line.service_tier for line in lines} == {"standard"}


def test_a_batch_row_is_of_the_batch_tier() -> None:
    lines = read(usage_row("100,30,10,90,,,,,,,,,").replace("FALSE", "TRUE"), "u.csv")[0]
    assert {line.service_tier for line in lines} == {"batch"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", page(result(more=',"quantity":1,"quantity_unit":"parsecs"')), "quantity_unit is 'parsecs'"),
        ("a.json", page(result(more=',"quantity":1,"quantity_unit":"images"')), "quantity_unit is 'images'"),
        ("a.json", page(result(item='"gpt\\u0000, input"')), "cannot be printed"),
        ("a.json", page(result(item='"gpt\\ud800, input"')), "cannot be printed"),
        ("a.json", page(result(item=f'"{"x" * 600}, input"')), "longer than 512"),
        ("u.csv", usage_row("100,30,10,90,,,,,,,,,").replace("gpt-4o", "gpt\x1b[2J"), "cannot be printed"),
        ("a.json", page(result(more=',"margin":1')), "key is 'margin'"),
        ("a.json", page(result('"0.5 USD"')), "amount.value is '0.5 USD'"),
        ("a.json", page(result("NaN")), "NaN is not a number"),
        ("a.json", page(result("1e400")), "amount.value"),
        ("a.json", page(result("true")), "amount.value is 'True'"),
        ("a.json", page(result("null")), "amount.value is absent"),
        ("a.json", page(result().replace('"usd"', "null")), "currency is absent"),
        ("a.json", page(result()).replace('"amount":', '"amount":{"value":1},"amount":'), "stands twice"),
        ("a.json", page(result(), start=START + 3600), "start_time is '1759626000'"),
        ("a.json", page(result(), length=3600), "a bucket is one day"),
        ("a.json", page(result())[:-40], "line 1, column"),
        ("a.ndjson", page(result()) + "\n" + page(result())[:-9] + "\n", "line 2, column"),
        ("a.json", '{"object":"list","data":[]}', "no vendor file that is known"),
        ("a.json", "hello", "no vendor file that is known"),
        ("c.csv", f"{COST_HEADER},surcharge\n{WHEN},1,usd,,,o,P,3\n", "column 11 is 'surcharge': unknown column"),
        ("c.csv", COST_HEADER.replace("amount_currency,", "") + f"\n{WHEN},1,,,o,P\n", "no column 'amount_currency'"),
        ("c.csv", f'{COST_HEADER}\n{WHEN},"1,234.50",usd,,,o,P\n', "line 2, amount_value is '1,234.50'"),
        ("c.csv", f"{COST_HEADER}\n{WHEN},=1+1,usd,,,o,P\n", "line 2, amount_value is '=1+1'"),
        ("c.csv", f"{COST_HEADER}\n{WHEN},1,usd,,,o\n", "line 2, number of cells is '9'"),
        ("c.csv", f'{COST_HEADER}\n{WHEN},,,"gpt-5, input",,o,P\n', "line 2, amount_value is absent"),
        ("u.csv", usage_row("100,30,10,80,,,,,,,,,"), "input_tokens is '100': it must be uncached 80 + cached 10"),
        ("u.csv", usage_row("100,30,10,90,10,,,,,,,,"), "input_text_tokens is '10'"),
        ("u.csv", usage_row("100.5,30,10,90,,,,,,,,,"), "input_tokens is '100.5'"),
        ("u.csv", usage_row("100,30,10,90,,,,,,,,,").replace("default", "gold"), "service_tier is 'gold'"),
        ("u.csv", usage_row("100,30,10,90,,,,,,,,,").replace("gpt-4o-2024-08-06", ""), "model is absent"),
    ],
)  # fmt: skip
def test_what_is_not_known_refuses_the_file_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        read(text, name)
    assert said in str(refused.value)
    assert name in str(refused.value)
    assert "nothing of this import was stored" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"  \n ", b"\x1f\x8b\x08\x00", b"\xff\xfea\x00", b"a,b\n\xc0\xaf\n"])
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    with pytest.raises(InvoiceRefused):
        read(content)
