"""Files that people bring: read whole or refused whole, every problem by file, line, column, value and remedy."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.errors import FileRefused
from billing.fx import new_rates, read_fx
from billing.periods import hour_start
from billing.price_file import changes, read_prices
from billing.prices import PriceKey

HEADER = "provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source"
GOOD = "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-10-01T00:00:00Z,,letter"


def prices(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def test_a_price_line() -> None:
    raw = prices(
        "openai,gpt-x*,input_tokens,batch,eu,200000,USD,0.25,1000000,2026-10-01T09:00:00+09:00,2026-11-01,letter"
    )
    (row,) = read_prices(raw, "p.csv")
    assert row.key == PriceKey("openai", "gpt-x*", "input_tokens", "batch", "eu", 200_000)
    assert (row.currency, row.price, row.per, row.source) == ("USD", Decimal("0.25"), 1_000_000, "letter")
    assert (str(hour_start(row.from_hour)), str(hour_start(row.to_hour or 0))) == (
        "2026-10-01 00:00:00+00:00",
        "2026-11-01 00:00:00+00:00",
    )


def test_empty_cells_mean_standard_any_region_any_length_and_the_file() -> None:
    (row,) = read_prices(prices(GOOD.replace("letter", "")), "p.csv")
    assert (row.key.service_tier, row.key.region, row.key.prompt_above, row.source) == ("standard", None, 0, "p.csv")
    short = "provider,model,unit,currency,price,per,valid_from"
    (row,) = read_prices(prices("openai,gpt-x,input_tokens,USD,0.25,1000,2026-10-01", header="\ufeff" + short), "p.csv")
    assert row.to_hour is None


@pytest.mark.parametrize(
    ("cell", "bad", "column"),
    [
        ("2026-10-01T00:00:00Z", "2026-10-01T00:30:00Z", "valid_from"),
        ("2026-10-01T00:00:00Z", "2026-10-01T00:00:00+05:30", "valid_from"),
        ("2026-10-01T00:00:00Z", "2026-10-01T00:00:00", "valid_from"),
        ("2026-10-01T00:00:00Z", "1.10.2026", "valid_from"),
        ("2026-10-01T00:00:00Z", "1826-10-01", "valid_from"),
        (",,letter", ",2026-10-01T00:00:00Z,letter", "valid_to"),
        ("0.25", "-0.25", "price"),
        ("0.25", "0,25", ""),
        ("0.25", "1e-3", "price"),
        ("0.25", "", "price"),
        ("1000000", "3600", "per"),
        ("1000000", "0", "per"),
        ("1000000", "1.5", "per"),
        ("USD", "usd", "currency"),
        ("USD", "WON", "currency"),
        ("input_tokens", "input_token", "unit"),
        ("input_tokens", "Input Tokens", "unit"),
        ("input_tokens", "", "unit"),
        ("gpt-x,", "gpt-*-x,", "model"),
        ("gpt-x,", ",", "model"),
        ("openai", "", "provider"),
        (",,,,USD", ",premium,,,USD", "service_tier"),
        (",,,,USD", ",,,-1,USD", "prompt_above"),
        (",,,,USD", ",,,20%,USD", "prompt_above"),
        ("letter", "let\x00ter", "source"),
        ("letter", "l" * 1025, "source"),
    ],
)
def test_bad_cells_are_named(cell: str, bad: str, column: str) -> None:
    assert cell in GOOD
    with pytest.raises(FileRefused) as refused:
        read_prices(prices(GOOD, GOOD.replace(cell, bad, 1)), "p.csv")
    problem = next(problem for problem in refused.value.problems if problem.line == 3)
    assert (problem.file, problem.column) == ("p.csv", column)
    assert problem.remedy


def test_all_problems_come_together() -> None:
    with pytest.raises(FileRefused) as refused:
        read_prices(prices(GOOD.replace("USD", "WON"), GOOD, GOOD.replace("0.25", "free")), "p.csv")
    assert [(problem.line, problem.column, problem.value) for problem in refused.value.problems] == [
        (2, "currency", "WON"),
        (4, "price", "free"),
    ]
    assert "p.csv, line 4, column price: 'free'" in str(refused.value)


def test_the_same_price_twice_in_a_file_is_refused() -> None:
    with pytest.raises(FileRefused, match="line 2 prices the same"):
        read_prices(prices(GOOD, GOOD.replace("0.25", "0.30")), "p.csv")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "begin with the header"),
        (b"\n", "begin with the header"),
        (HEADER.replace("unit", "unti").encode(), "no such column here"),
        (HEADER.replace(",unit", "").encode(), "the column is missing"),
        ((HEADER + ",price").encode(), "stands twice"),
        (HEADER.encode() + b"\n\xff\xfe", "UTF-8"),
        (prices('openai,"gpt'), "CSV"),
    ],
)
def test_bad_files_are_refused(raw: bytes, says: str) -> None:
    with pytest.raises(FileRefused, match=says):
        read_prices(raw, "p.csv")


def test_what_a_file_changes() -> None:
    from dataclasses import replace

    book = [replace(row, id=place + 1) for place, row in enumerate(read_prices(prices(GOOD), "p.csv"))]
    later = GOOD.replace("2026-10-01T00:00:00Z", "2026-10-15T03:00:00Z").replace("0.25", "0.30")
    other = GOOD.replace("gpt-x", "gpt-y").replace(",,,,USD", ",,,1000,USD")
    found = changes(book, read_prices(prices(GOOD, later, other), "q.csv"), "contract")
    assert (len(found.added), len(found.changed), found.unchanged) == (2, 0, 1)
    assert (found.ended, found.thresholds) == ((book[0],), (1000,))
    found = changes(book, read_prices(prices(GOOD.replace("0.25", "0.20")), "q.csv"), "contract")
    assert [(before.price, after.price) for before, after in found.changed] == [(Decimal("0.25"), Decimal("0.20"))]
    found = changes(book, read_prices(prices(GOOD.replace("0.25", "0.20")), "q.csv"), "list")
    assert len(found.added) == 1


def test_rates() -> None:
    raw = b"date,base,quote,rate,source\n2026-10-01,USD,KRW,1386.50,bank\n2026-10-01,JPY(100),KRW,935.12,\n"
    usd, yen = read_fx(raw, "fx.csv")
    assert (usd.rate, usd.source) == (Decimal("1386.50"), "bank")
    assert (yen.base, yen.rate, yen.source) == ("JPY", Decimal("9.3512"), "fx.csv")


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("2026-10-1,USD,KRW,1386.5,b", "date"),
        ("20261001,USD,KRW,1386.5,b", "date"),
        ("2026-02-29,USD,KRW,1386.5,b", "date"),
        ("2026-10-01,USD,KRW,0,b", "rate"),
        ('2026-10-01,USD,KRW,"1,386.50",b', "rate"),
        ("2026-10-01,USD,KRW,-1,b", "rate"),
        ("2026-10-01,usd,KRW,1386.5,b", "base"),
        ("2026-10-01,JPY(7),KRW,1386.5,b", "base"),
        ("2026-10-01,USD,USD,1,b", "quote"),
        ("2026-10-01,USD,,1,b", "quote"),
    ],
)
def test_bad_rates_are_named(line: str, column: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_fx(f"date,base,quote,rate,source\n{line}\n".encode(), "fx.csv")
    assert [(problem.line, problem.column) for problem in refused.value.problems] == [(2, column)]


def test_a_day_twice_is_refused_and_a_changed_rate_is_told() -> None:
    header = "date,base,quote,rate,source\n"
    with pytest.raises(FileRefused, match="line 2 gives the rate"):
        read_fx(f"{header}2026-10-01,USD,KRW,1,b\n2026-10-01,USD,KRW,2,b\n".encode(), "fx.csv")
    book = read_fx(f"{header}2026-10-01,USD,KRW,1,b\n2026-10-02,USD,KRW,1,b\n".encode(), "fx.csv")
    rows = read_fx(
        f"{header}2026-10-01,USD,KRW,1.0,b\n2026-10-02,USD,KRW,2,b\n2026-10-03,USD,KRW,3,b\n".encode(), "fx.csv"
    )
    added, changed = new_rates(book, rows)
    assert ([row.rate for row in added], [row.rate for row in changed]) == ([3], [2])
