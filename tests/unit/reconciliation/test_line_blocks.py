"""Large reports read by the block say what the strict reader says of them: the same lines, or the same refusal."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from billing.invoices import csv_columns
from billing.invoices.aws_cur import CostAndUsageReport
from billing.invoices.errors import InvoiceRefused
from billing.invoices.line_blocks import LineBlock, lines_of
from billing.invoices.lines import CoveredDay, VendorLine
from billing.invoices.source import SourceFile

GOLDEN = (Path(__file__).resolve().parents[2] / "data" / "invoices" / "aws_cur2.csv").read_bytes()
REPORT = CostAndUsageReport()
HEADER = (
    b"bill_billing_period_start_date,line_item_line_item_type,line_item_product_code,line_item_usage_type,"
    b"line_item_usage_start_date,line_item_usage_end_date,line_item_usage_amount,pricing_unit,"
    b"line_item_unblended_cost,line_item_currency_code\n"
)


def row(number: int, **more: str) -> bytes:
    """A line of use, each another one."""
    hour = f"2026-10-{number % 31 + 1:02d}T{number % 23:02d}"
    cells = {
        "bill": "2026-10-01T00:00:00Z", "type": "Usage", "product": "AmazonBedrock",
        "meter": f"USE1-NovaPro{number % 3}-output-tokens", "start": f"{hour}:00:00Z", "end": f"{hour}:59:59Z",
        "amount": f"{number}.{number % 7}0", "unit": "1K tokens", "cost": f"0.0{number:05d}", "currency": "USD", **more,
    }  # fmt: skip
    return ",".join(cells.values()).encode() + b"\n"


GOOD = HEADER + b"".join(row(number) for number in range(200))
Harm = Callable[[bytes], bytes]
FILES: dict[str, bytes] = {
    "golden": GOLDEN,
    "plain": GOOD,
    "no end of line": GOOD.rstrip(b"\n"),
    "windows": GOOD.replace(b"\n", b"\r\n"),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "gzip": gzip.compress(GOOD),
    "quoted cells": GOOD.replace(b"AmazonBedrock", b'"AmazonBedrock"'),
    "a comma within quotes": GOOD + row(7, meter='"USE1-Nova,Pro-dreams"'),
    "a line's end within quotes": GOOD + row(7, product='"Amazon\nS3"', meter="x") + row(8),
    "a quote within quotes": GOOD + row(7, product='"Amazon""S3"', meter="x") + row(8),
    "a quote within a cell": GOOD + row(7, product='Amazon"S3', meter="x") + row(8),
    "a blank line": GOOD + b"\n" + row(7),
    "spaces around": GOOD + row(7, amount=" 7.5 ", cost=" 0.1", meter=" USE1-NovaPro1-input-tokens "),
    "exponents": GOOD + row(7, cost="1.5E-7", amount="2e3"),
    "money back": GOOD + row(7, cost="-0.5") + row(8, cost="-0.5", amount="-3") + row(9, type="Credit", cost="-1"),
    "tax and fees": GOOD + row(7, type="Tax", meter="", amount="") + row(8, product="AmazonS3", meter="PUT", amount=""),
    "a wording that is not understood": GOOD + row(7, meter="USE1-NovaPro-dreams", unit="bushels"),
    "use billed later": GOOD + row(7, start="2026-09-30T00:00:00Z", end="2026-09-30T01:00:00Z"),
    "another charge for a month": GOOD + row(7, type="Fee", end="2026-11-01T00:00:00Z"),
    "use for a month": GOOD + row(7, end="2026-11-01T00:00:00Z"),
    "a cell too many": GOOD + row(7).replace(b"\n", b",1\n"),
    "a cell too few": GOOD + b"1,2\n",
    "another currency": GOOD + row(7, currency="KRW"),
    "thousands commas": GOOD + row(7, cost='"1,234.5"'),
    "a formula": GOOD + row(7, meter="=1+1"),
    "an unknown unit": GOOD + row(7, unit="bushels"),
    "no amount": GOOD + row(7, cost=""),
    "latin-1": GOOD + row(7, meter="USE1-Mod\u00e8le-output-tokens").decode().encode("latin-1"),
    "a zero byte": GOOD + row(7, meter="USE1-\0"),
    "a cell of 10 MB": GOOD + row(7, meter="x" * 10_000_000),
    "truncated gzip": gzip.compress(GOOD)[:-40],
    "a separator of ours": GOOD + row(7, meter="USE1-\x1f"),
    "an unknown column": GOOD.replace(b"pricing_unit", b"mood", 1),
}


def read_strictly(source: SourceFile) -> tuple[list[VendorLine], set[object]]:
    items = list(REPORT.read(source))
    return [one for one in items if isinstance(one, VendorLine)], {one.day for one in items}


def read_by_the_block(source: SourceFile) -> tuple[list[VendorLine], set[object]]:
    lines: list[VendorLine] = []
    days: set[object] = set()
    for item in REPORT.blocks(source):
        if isinstance(item, LineBlock):
            lines += lines_of(item)
        else:
            assert isinstance(item, CoveredDay)
            days.add(item.day)
    return lines, days | {line.day for line in lines}


def outcome(read: Callable[[SourceFile], object], content: bytes) -> object:
    """What is read, or the sentence that refuses it."""
    try:
        return read(SourceFile("cur.csv", content))
    except InvoiceRefused as refused:
        return str(refused)


@pytest.mark.parametrize("block_bytes", [700, 5_000, csv_columns.BLOCK_BYTES])
@pytest.mark.parametrize("name", FILES)
def test_both_readers_say_the_same(name: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_columns, "BLOCK_BYTES", block_bytes)
    assert outcome(read_by_the_block, FILES[name]) == outcome(read_strictly, FILES[name])


def test_a_plain_report_is_not_left_to_the_strict_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the comparison would prove nothing."""
    monkeypatch.setattr(CostAndUsageReport, "read", lambda *_: pytest.fail("read line by line"))
    for name in ("golden", "plain", "windows", "quoted cells", "money back", "tax and fees", "exponents"):
        assert read_by_the_block(SourceFile("cur.csv", FILES[name]))[0]


def test_what_a_block_comes_to_is_what_its_lines_come_to() -> None:
    for item in REPORT.blocks(SourceFile("cur.csv", FILES["money back"])):
        if isinstance(item, LineBlock):
            assert sum(amount for _, amount in item.sums()) == sum(line.amount or 0 for line in lines_of(item))


def test_pandas_is_not_loaded_for_it() -> None:
    """Loading it takes longer than reading a hundred thousand lines does. The program ends without Arrow's tidying up,
    which aborts now and then where a thread of its own ends at that moment (github.com/apache/arrow/issues/34314)."""
    script = (
        "import os, sys; from billing.invoices.aws_cur import CostAndUsageReport; "
        "from billing.invoices.source import SourceFile; "
        "list(CostAndUsageReport().blocks(SourceFile('cur.csv', sys.stdin.buffer.read()))); "
        "os._exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=GOOD, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
