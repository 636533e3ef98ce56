"""Parquet of AWS, Google and FOCUS says what the same bill says as CSV or JSON lines; what is not exact is refused."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import VendorLine
from billing.invoices.parquet_rows import parquet_rows
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

DATA = Path(__file__).resolve().parents[2] / "data" / "invoices"
MAP = pa.map_(pa.string(), pa.string())
INSTANT = pa.timestamp("ms")
DOUBLES = ("line_item_usage_amount", "line_item_unblended_cost")
PACIFIC = "America/Los_Angeles"


def packed(table: pa.Table, **how: Any) -> bytes:
    """The file's bytes, several row groups."""
    target = io.BytesIO()
    pq.write_table(table, target, **{"row_group_size": 5, **how})
    return target.getvalue()


def lines(content: bytes, zone: str = "UTC", name: str = "bill.parquet") -> list[tuple[Any, ...]]:
    """What the lines say, without their places."""
    source = SourceFile(name, content, zone)
    found = [one for one in recognise(source).importer.read(source) if isinstance(one, VendorLine)]
    return [(one.day, one.kind, one.text, one.account, one.model, one.unit, one.service_tier, one.quantity,
             one.quantity_step, one.amount, one.currency) for one in found]  # fmt: skip


def cur_table(rows: list[dict[str, str]]) -> pa.Table:
    """A report as Data Exports types it: texts, timestamps without a zone, doubles, and `product` as a map."""
    columns = {}
    for name in rows[0]:
        cells = [row[name] for row in rows]
        if name == "product":
            columns[name] = pa.array([list(json.loads(cell).items()) if cell else None for cell in cells], MAP)
        elif name.endswith("_date"):
            instants = [datetime.fromisoformat(cell).replace(tzinfo=None) if cell else None for cell in cells]
            columns[name] = pa.array(instants, INSTANT)
        elif name in DOUBLES:
            columns[name] = pa.array([float(cell) if cell else None for cell in cells], pa.float64())
        else:
            columns[name] = pa.array([cell or None for cell in cells], pa.string())
    return pa.table(columns)


def cur_rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((DATA / "aws_cur2.csv").read_text(encoding="utf-8"))))


def test_aws_says_the_same_as_its_csv() -> None:
    content = packed(cur_table(cur_rows()))
    assert lines(content) == lines((DATA / "aws_cur2.csv").read_bytes(), name="cur.csv")
    assert "Parquet whose header has line_item_usage_type" in recognise(SourceFile("x", content)).why


@given(st.lists(st.decimals(Decimal("-1e9"), Decimal("1e9"), places=9), min_size=1, max_size=20))
def test_a_decimal_column_is_exact(amounts: list[Decimal]) -> None:
    """Also beyond the digits that a double has, and in decimal256."""
    kind = pa.decimal256(60, 30)
    row = cur_rows()[0]
    table = cur_table([row] * len(amounts))
    small = [amount.scaleb(-10) for amount in amounts]
    table = table.set_column(table.schema.get_field_index(DOUBLES[1]), DOUBLES[1], pa.array(small, kind))
    assert [one[9] for one in lines(packed(table))] == small


@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=9))
def test_a_double_is_its_shortest_text(amounts: list[float]) -> None:
    """As Python writes it, too: the shortest text that reads back as the same double."""
    table = pa.table({"cost": pa.array(amounts, pa.float64())})
    found = [row["cost"] for _, row in parquet_rows(SourceFile("x", packed(table)), {"cost"}, {"cost"})]
    assert [Decimal(text) for text in found] == [Decimal(repr(amount)) for amount in amounts]


def google_tables() -> tuple[bytes, pa.Table]:
    """The same rows as JSON lines and as BigQuery exports the table to Parquet."""
    at = datetime(2026, 10, 5, 6, tzinfo=UTC)
    rows = [
        {
            "billing_account_id": "A-1", "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
            "sku": {"id": "S", "description": "Gemini 2.5 Flash GA Text Input - Predictions"},
            "usage_start_time": at, "usage_end_time": at.replace(hour=7), "project": {"id": f"p-{number % 3}"},
            "labels": [{"key": "a", "value": "b"}] * (number % 2), "cost": 0.1 * number + 1e-7, "currency": "USD",
            "currency_conversion_rate": 1.0, "usage": {"amount": 10_000.0 * number, "unit": "count"},
            "credits": [{"name": "Deal", "amount": -0.001 / 3}] * (number % 3), "invoice": {"month": "202610"},
            "cost_type": "regular" if number else "tax",
        } for number in range(12)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    texts = [json.dumps({**row, "usage_start_time": "2026-10-05 06:00:00 UTC",
                         "usage_end_time": "2026-10-05 07:00:00 UTC"}) for row in rows]  # fmt: skip
    return "\n".join(texts).encode(), table


def test_google_says_the_same_as_its_json_lines() -> None:
    written, table = google_tables()
    found = lines(packed(table), PACIFIC)
    assert found == lines(written, PACIFIC, "export.json")
    assert len(found) == 24


def test_google_decimal_columns_and_strangers() -> None:
    _, table = google_tables()
    exact = pa.array([Decimal("0.1234567890123456789012345678")] * 12, pa.decimal128(38, 28))
    found = lines(packed(table.set_column(table.schema.get_field_index("cost"), "cost", exact)), PACIFIC)
    assert found[0][9] == Decimal("0.1234567890123456789012345678")
    with pytest.raises(InvoiceRefused, match="schema, key is 'margin': unknown"):
        lines(packed(table.append_column("margin", exact)), PACIFIC)


def focus_table() -> pa.Table:
    rows = list(csv.DictReader(io.StringIO((DATA / "focus_1_2.csv").read_text(encoding="utf-8"))))
    columns = {}
    for name in rows[0]:
        cells = [row[name] or None for row in rows]
        if name.endswith(("Cost", "Quantity")):
            cells = [cell and Decimal(cell) for cell in cells]
        columns[name] = pa.array(cells, pa.decimal128(38, 15) if name.endswith(("Cost", "Quantity")) else pa.string())
    return pa.table(columns)


def test_focus_says_the_same_as_its_csv() -> None:
    expected = lines((DATA / "focus_1_2.csv").read_bytes(), name="focus.csv")
    assert lines(packed(focus_table())) == expected


@pytest.mark.parametrize("column", ["BilledCost", "ConsumedQuantity"])
def test_doubles_that_nobody_documents_are_refused(column: str) -> None:
    table = focus_table()
    at = table.schema.get_field_index(column)
    with pytest.raises(InvoiceRefused, match=f"type of column {column} is 'double': write it as a decimal column"):
        lines(packed(table.set_column(at, column, table.column(column).cast(pa.float64()))))


def test_what_is_no_bill_is_refused() -> None:
    content = packed(cur_table(cur_rows()))
    with pytest.raises(InvoiceRefused, match="is not readable Parquet"):
        lines(content[: len(content) // 2])
    middle = bytearray(content)
    middle[20:400] = bytes(380)
    with pytest.raises(InvoiceRefused):
        lines(bytes(middle))
    with pytest.raises(InvoiceRefused, match="no vendor file that is known"):
        lines(packed(pa.table({"a": [1]})))
    with pytest.raises(InvoiceRefused, match="unknown column"):
        lines(packed(cur_table(cur_rows()).append_column("line_item_margin", pa.array(["x"] * len(cur_rows())))))
    with pytest.raises(InvoiceRefused, match="has no column 'pricing_unit'"):
        lines(packed(cur_table(cur_rows()).drop_columns(["pricing_unit"])))


def test_a_long_text_in_every_row_is_refused_without_holding_it_in_each() -> None:
    big = [{**row, "line_item_usage_type": "x" * 1_000_000} for row in cur_rows()[:2]] * 25
    with pytest.raises(InvoiceRefused, match="column line_item_usage_type: a cell holds 1000000 bytes"):
        lines(packed(cur_table(big), row_group_size=1000))


def test_a_long_text_in_a_map_is_refused_too() -> None:
    table = cur_table(cur_rows()[:1] * 200)
    big = pa.array([[("product_name", "x" * 1_000_000)]] * 200, MAP)
    with pytest.raises(InvoiceRefused, match="column product: a cell holds 1000000 bytes"):
        lines(packed(table.set_column(table.schema.get_field_index("product"), "product", big), row_group_size=1000))


def test_formats_without_parquet_say_so() -> None:
    table = pa.table({"start_time": ["1"], "amount_value": ["1"]})
    with pytest.raises(InvoiceRefused, match="no vendor file that is known"):
        lines(packed(table))
    for broken in (float("nan"), float("inf")):
        table = cur_table(cur_rows()[:1])
        at = table.schema.get_field_index(DOUBLES[1])
        with pytest.raises(InvoiceRefused, match="line_item_unblended_cost is"):
            lines(packed(table.set_column(at, DOUBLES[1], pa.array([broken]))))
