"""Tables read by a mapping: exact figures, every key checked, every text known."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, LineKind, StatedTotal, VendorLine
from billing.invoices.mapped_table import MappedTable
from billing.invoices.mapping import MappingFile
from billing.invoices.recognise import importer_of, mapped
from billing.invoices.source import SourceFile

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
SMALL = """
[columns]
day = "Date"
amount = "Net"
{columns}
[figures]
{figures}
[dates]
{dates}
"""


def mapping(
    columns: str = "", figures: str = 'currency = "USD"', dates: str = 'format = "%Y-%m-%d"', more: str = ""
) -> str:
    return SMALL.format(columns=columns, figures=figures, dates=dates) + more


def read(table: str, toml: str, zone: str = "UTC") -> list[VendorLine | CoveredDay | StatedTotal]:
    source = SourceFile("typed.csv", table.encode(), zone)
    return list(mapped(source, MappingFile("map.toml", toml.encode())).importer.read(source))


def lines(table: str, toml: str, zone: str = "UTC") -> list[VendorLine]:
    return [one for one in read(table, toml, zone) if isinstance(one, VendorLine)]


def test_the_example_reads_as_it_says() -> None:
    found = read((EXAMPLES / "invoice-typed.csv").read_text(), (EXAMPLES / "invoice-mapping.toml").read_text())
    rows = [one for one in found if isinstance(one, VendorLine)]
    assert [(str(one.kind), one.model, one.unit) for one in rows] == [
        ("usage", "gpt-5-mini", "input_tokens"),
        ("usage", "gpt-5-mini", "output_tokens"),
        ("usage", "gpt-5-mini", "input_tokens"),
        ("fee", None, None),
        ("credit", None, None),
        ("tax", None, None),
    ]
    assert [one.quantity for one in rows] == [1_200_000, 300_000, 2_400_500, None, None, None]
    assert [one.quantity_step for one in rows] == [1000, 1000, 100, None, None, None]
    assert [one.amount for one in rows] == [416, 832, 832, 10_000, -1_000, 1_108]
    assert {one.currency for one in rows} == {"KRW"}
    assert [one for one in found if isinstance(one, StatedTotal)] == [
        StatedTotal("line 8", date(2026, 10, 1), date(2026, 10, 31), Decimal(12188), "KRW")
    ]
    assert len([one for one in found if isinstance(one, CoveredDay)]) == 31


def test_a_total_that_is_not_the_sum_is_refused_unless_it_is_near_enough() -> None:
    table = (EXAMPLES / "invoice-typed.csv").read_text().replace('"12,188"', '"12,189"')
    toml = (EXAMPLES / "invoice-mapping.toml").read_text()
    with pytest.raises(InvoiceRefused, match=r"line 8, 금액 is '12189': the rows add up to 12188"):
        read(table, toml)
    near = read(table, toml.replace('total_tolerance = "0"', 'total_tolerance = "1"'))
    assert [one.amount for one in near if isinstance(one, StatedTotal)] == [12189]


def test_marks_cents_and_signs() -> None:
    toml = mapping(figures='currency = "EUR"\ndecimal = ","\nthousands = "."\ncents = true\nsign = "reversed"')
    (line,) = lines('Date,Net\n2026-10-01,"-1.234.567,8"\n', toml)
    assert (line.amount, line.currency, line.kind) == (Decimal("12345.678"), "EUR", LineKind.TOTAL)


def test_months_and_instants() -> None:
    found = read("Date,Net\n2026.10,5\n", mapping(dates='format = "%Y.%m"'))
    assert [one.day for one in found if isinstance(one, VendorLine)] == [date(2026, 10, 31)]
    assert len([one for one in found if isinstance(one, CoveredDay)]) == 31
    toml = mapping(dates='format = "%Y-%m-%d %H:%M"\nzone = "Asia/Seoul"')
    assert lines("Date,Net\n2026-10-01 08:59,5\n", toml)[0].day == date(2026, 9, 30)
    assert lines("Date,Net\n2026-10-01 08:59,5\n", toml, "Asia/Seoul")[0].day == date(2026, 10, 1)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (mapping(columns='modle = "M"'), "columns.modle is 'M': unknown"),
        (mapping().replace('day = "Date"', ""), "columns.day is absent"),
        (mapping(columns='text = "Net"'), "columns is 'Date, Net, Net': name each column once"),
        (mapping(figures=""), "figures.currency is absent: either it or columns.currency"),
        (mapping(figures='currency = "won"'), "figures.currency is 'won'"),
        (mapping(figures='currency = "USD"\ndecimal = ";"'), "figures.decimal is ';'"),
        (mapping(figures='currency = "USD"\nthousands = "."'), "figures.thousands is '.': it is the decimal mark"),
        (mapping(figures='currency = "USD"\ncents = "yes"'), "figures.cents is 'yes': write true or false"),
        (mapping(figures='currency = "USD"\nsign = "minus"'), "figures.sign is 'minus'"),
        (mapping(dates='format = "%d. %B %Y"'), "dates.format is '%d. %B %Y'"),
        (mapping(dates='format = "%d"'), "dates.format is '%d'"),
        (mapping(dates='format = "%Y-%m-%d %H"'), "dates.zone is absent: dates with %H need the zone"),
        (mapping(dates='format = "%Y-%m-%d"\nzone = "UTC"'), "dates.zone is 'UTC'"),
        (mapping(dates='format = "%Y-%m-%d %H"\nzone = "Moon/Base"'), "dates.zone is 'Moon/Base'"),
        (mapping(columns='unit = "U"'), "units is absent: columns.unit and [units] go together"),
        (mapping(more='[units]\n"K" = "input_tokens"'), "units is 'K': columns.unit and [units] go together"),
        (mapping(columns='unit = "U"', more='[units]\n"K" = { unit = "Tokens!" }'), "units.K.unit is 'Tokens!'"),
        (mapping(columns='unit = "U"', more='[units]\n"K" = { unit = "a", scale = -1 }'), "units.K.scale is '-1'"),
        (mapping(columns='kind = "K"', more='[kinds]\n"VAT" = "vat"'), "kinds.VAT.kind is 'vat'"),
        (mapping(columns='kind = "K"', more='[kinds]\n"VAT" = 5'), "kinds.VAT is '5'"),
        (mapping(more='[sums]\nx = 1'), "sums is"),
        ("columns = 5", "columns is '5': write it as a table"),
        ('ignore = ["Net"]\n' + mapping(), "ignore is 'Net': this column is read"),
        ("[columns", "map.toml is not readable TOML"),
        ("x = 1\n" * 20000, "a mapping has at most"),
    ],
)
def test_a_wrong_mapping_is_refused_by_file_key_and_value(toml: str, says: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        read("Date,Net\n2026-10-01,5\n", toml)
    assert says in str(refused.value)
    assert str(refused.value).startswith("map.toml")


FULL = mapping(
    columns='model = "M"\nunit = "U"\nkind = "K"\nquantity = "Q"\nservice_tier = "T"',
    more='[units]\n"tokens" = "input_tokens"\n[kinds]\n"use" = "usage"\n"sum" = "stated_total"',
)
HEADER = "Date,Net,M,U,K,Q,T\n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("2026-10-01,1.5,m,tokens,tax,1,", "line 2, K is 'tax': add this text to [kinds]"),
        ("2026-10-01,1.5,m,words,use,1,", "line 2, U is 'words': add this text to [units]"),
        ("2026-10-01,1.5,,tokens,use,1,", "line 2, M is absent: tokens name their model"),
        ("01.10.2026,1.5,m,tokens,use,1,", "line 2, Date is '01.10.2026': dates are written '%Y-%m-%d'"),
        ('2026-10-01,"1,500",m,tokens,use,1,', "line 2, Net is '1,500': write a plain decimal"),
        ("2026-10-01,=1+1,m,tokens,use,1,", "line 2, Net is '=1+1'"),
        ("2026-10-01,,m,tokens,use,1,", "line 2, Net is absent"),
        ("2026-10-01,₩5,m,tokens,use,1,", "line 2, Net is '₩5'"),
        ("2026-10-01,5,=SUM(A1),tokens,use,1,", "line 2, M is '=SUM(A1)'"),
        ("2026-10-01,5,m,tokens,use,1,turbo", "line 2, T is 'turbo'"),
        ("2026-10-01,5,m,tokens,use,1", "number of cells is '6'"),
        ("2026-10-01,5,m,tokens,use,1,\n,5,,,sum,,\n,5,,,sum,,", "line 4, K is 'sum': line 3 states the total already"),
        (",5,,,sum,,", "typed.csv has no row"),
    ],
)
def test_a_row_that_is_not_understood_is_refused(row: str, says: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        read(HEADER + row + "\n", FULL)
    assert says in str(refused.value)


def test_columns_added_and_missing_are_refused() -> None:
    with pytest.raises(InvoiceRefused, match="'Extra': unknown column"):
        read("Date,Net,Extra\n2026-10-01,5,x\n", mapping())
    with pytest.raises(InvoiceRefused, match="has no column 'Net'"):
        read("Date\n2026-10-01\n", mapping())
    assert lines("Date,Net,Extra\n2026-10-01,5,x\n", 'ignore = ["Extra"]\n' + mapping())[0].amount == 5


def test_what_was_read_by_a_mapping_is_not_read_without_it() -> None:
    source = SourceFile("typed.csv", b"Date,Net\n2026-10-01,5\n")
    with pytest.raises(InvoiceRefused, match="name it again with --mapping"):
        list(importer_of("generic.by_day").read(source))
    again = importer_of("generic.by_day", mapping().encode())
    assert isinstance(again, MappedTable)
    assert [one.amount for one in again.read(source) if isinstance(one, VendorLine)] == [5]


@given(
    st.integers(-(10**14), 10**14),
    st.integers(0, 6),
    st.sampled_from([",", ".", " ", "'", ""]),
    st.sampled_from([".", ","]),
)
def test_a_figure_is_what_was_written(whole: int, places: int, thousands: str, decimal: str) -> None:
    """Written by other code, by every pair of marks, it comes back exactly."""
    if thousands == decimal:
        return
    amount = Decimal(whole).scaleb(-places)
    text = f"{amount:,f}".replace(",", "T").replace(".", "D").replace("T", thousands).replace("D", decimal)
    toml = mapping(figures=f'currency = "USD"\ndecimal = "{decimal}"\nthousands = "{thousands}"')
    assert lines(f'Date,Net\n2026-10-01,"{text}"\n', toml)[0].amount == amount
