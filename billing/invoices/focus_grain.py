"""Whether a FOCUS file tells its use by days or by months: its first row of use says."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from billing.invoices.charge_days import ChargeDays, Period
from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused

if TYPE_CHECKING:
    from billing.invoices.source import SourceFile

_WANTED = {"ChargeCategory", "ChargeClass", "ChargePeriodStart", "ChargePeriodEnd"}
ROWS_LOOKED_AT = 1_000


def tells_months(source: SourceFile) -> bool:
    """Whether the first row of use is for more than a day of the vendor's. False where no row near the beginning
    tells it: then the rows are read as days, and what is wrong with them is said there."""
    try:
        rows = rows_of(source, header_of(source, parquet=True), (), wanted=_WANTED, doubles=())
        for place, row in islice(rows, ROWS_LOOKED_AT):
            if row.get("ChargeCategory") == "Usage" and row.get("ChargeClass") != "Correction":
                start, end = row["ChargePeriodStart"], row["ChargePeriodEnd"]
                return ChargeDays(source).is_longer(place, Period("ChargePeriodStart", "ChargePeriodEnd", start, end))
    except (InvoiceRefused, KeyError):
        return False
    return False
