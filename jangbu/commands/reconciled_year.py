"""`jangbu reconcile --year`: a vendor's year by class, as its months were recorded last."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from jangbu.errors import NotFoundError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.reconciliation.trend import TrendMonth
    from jangbu.context import Context

BAR_WIDTH = 12


def show_year(ctx: Context, vendor_name: str, year: int, *, as_json: bool, as_csv: bool) -> None:
    """The year as a table with a column a class; on a terminal with a bar for what differs. Exit 4 where nothing is."""
    from billing.money import plain
    from billing.reconciliation.trend import classes_seen, read_trend
    from billing.store import snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        months = read_trend(connection, vendor_name, year)
    if not months:
        raise NotFoundError(
            f"no month of {vendor_name!r} in {year} was reconciled and recorded: "
            f"`jangbu reconcile --vendor {vendor_name} --month {year}-01`"
        )
    if as_json:
        print_json({"vendor": vendor_name, "year": year, "months": [_document(month) for month in months]})
        return
    classes = classes_seen(months)
    columns = ("month", "currency", "ours", *classes, "invoice")
    rows: list[tuple[str, ...]] = [
        (month.month, month.currency, plain(month.ours_total), *(_cell(month, name) for name in classes),
         plain(month.invoice_total)) for month in months
    ]  # fmt: skip
    if as_csv or not sys.stdout.isatty():
        print_rows(columns, rows, as_csv=as_csv)
        return
    most = max((_differs(month) for month in months), default=0) or 1
    bars = ["█" * int(_differs(month) * BAR_WIDTH / most) for month in months]
    barred = [(*row, bar) for row, bar in zip(rows, bars, strict=True)]
    print_rows((*columns, " "), barred, right=("ours", *classes, "invoice"))


def _differs(month: TrendMonth) -> Decimal | int:
    """What all breaks of a month come to, whatever their sign."""
    return sum(abs(amount) for _, amount in month.classes.values())


def _cell(month: TrendMonth, name: str) -> str:
    from billing.money import plain

    return plain(month.classes[name][1]) if name in month.classes else ""


def _document(month: TrendMonth) -> dict[str, Any]:
    from billing.money import plain

    return {
        "month": month.month,
        "currency": month.currency,
        "ours_total": plain(month.ours_total),
        "invoice_total": plain(month.invoice_total),
        "classes": {
            name: {"breaks": count, "amount": plain(amount)} for name, (count, amount) in sorted(month.classes.items())
        },
        "run_at": month.run_at,
    }
