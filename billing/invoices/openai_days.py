"""OpenAI's buckets and figures, as they stand in JSON and in CSV: one UTC day, decimals, floats written as integers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import FLOAT_DIGITS, checked, figure
from billing.money import exact
from billing.sentences import Sentence

DAY_S = 86_400
_YEARS = range(2015, 2100)


def bucket_day(file: str, place: str, start: object, end: object, *, whole: bool = True) -> date:
    """The UTC day of a bucket from its unix seconds; `whole`: it must be all of the day, otherwise hours or minutes of
    one will do. Raises InvoiceRefused for any other bucket."""
    start_s = _whole(file, place, "start_time", start)
    end_s = _whole(file, place, "end_time", end)
    if (whole and start_s % DAY_S) or not 0 <= start_s < 2**33:
        raise InvoiceRefused.at(file, place, "start_time", start, "a bucket starts at 00:00 UTC, in unix seconds")
    if end_s - start_s != DAY_S if whole else not 0 < end_s - start_s <= DAY_S - start_s % DAY_S:
        raise InvoiceRefused.at(file, place, "end_time", end, "a bucket is one day; export with bucket_width 1d")
    day = datetime.fromtimestamp(start_s, UTC).date()
    if day.year not in _YEARS:
        raise InvoiceRefused.at(
            file, place, "start_time", start, Sentence("this is %(day)s, which no invoice of ours can be", day=day)
        )
    return day


def decimal_of(file: str, place: str, field: str, value: object) -> Decimal:
    """A JSON number or a CSV text as the exact decimal it writes. Raises InvoiceRefused where it writes none."""
    found: Decimal | None = None
    if isinstance(value, bool):
        found = None
    elif isinstance(value, int):
        found = checked(Decimal(value))
    elif isinstance(value, Decimal):
        found = checked(value)
    elif isinstance(value, str):
        found = figure(value)
    if found is None:
        raise InvoiceRefused.at(
            file, place, field, value, "write a plain decimal such as 1234.56, without thousands commas"
        )
    return found


def count_of(file: str, place: str, field: str, value: object) -> int:
    """A non-negative whole number; 59200.0 is one. Raises InvoiceRefused otherwise."""
    found = decimal_of(file, place, field, value)
    if found != found.to_integral_value() or found < 0:
        raise InvoiceRefused.at(
            file, place, field, value, "this counts whole things, it cannot be a fraction or negative"
        )
    return int(found)


def scaled(quantity: Decimal, scale: Decimal) -> Decimal:
    """A quantity in our unit. Noise of binary doubles (59.2 written 59.200000000000003) is taken off whole numbers."""
    with exact():
        value = quantity * scale
    nearest = value.to_integral_value()
    if value != nearest and abs(value - nearest) <= abs(nearest).scaleb(1 - FLOAT_DIGITS):
        return nearest
    return value


def _whole(file: str, place: str, field: str, value: object) -> int:
    found = decimal_of(file, place, field, value)
    if found != found.to_integral_value():
        raise InvoiceRefused.at(file, place, field, value, "times are whole unix seconds")
    return int(found)
