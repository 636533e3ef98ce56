"""`jangbu whatif`: what months would have cost by other prices, another model, or seats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import NotFoundError, UsageError
from jangbu.importing import ExistingFile
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.whatif.months import Supposed
    from jangbu.context import Context

MONTHS_MAX = 120
FIGURES = ("now", "then", "difference", "difference_exact", "unknown_quantity_now", "unknown_quantity_then")


@click.command()
@click.option("--month", metavar="YYYY-MM", help="One month of the organisation.")
@click.option("--months", metavar="FIRST..LAST", help="Several months, both ends included.")
@click.option(
    "--prices",
    "price_files",
    type=ExistingFile(),
    multiple=True,
    metavar="FILE",
    help="A price file, laid over the book as agreed prices; not written. May be given again.",
)
@click.option("--model", "swaps", multiple=True, metavar="A=B", help="A's tokens at B's prices. May be given again.")
@click.option("--seat-price", metavar="AMOUNT", help="A seat a month for everybody who used something, instead of use.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True, help="One table: departments, models, months, total.")
@click.pass_obj
def whatif(
    ctx: Context,
    month: str | None,
    months: str | None,
    price_files: tuple[Path, ...],
    swaps: tuple[str, ...],
    seat_price: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Rate the kept sums again and print the difference by department, model and month. Nothing is written.

    Use only: shares of common costs, taxes and corrections stay out.
    """
    from billing.errors import BillingError
    from billing.store import snapshot
    from billing.whatif.months import what_if
    from billing.whatif.scenario import UnknownModel

    asked = _months(month, months)
    supposed = _supposed(price_files, swaps, seat_price)
    policy = ctx.policy
    try:
        with ctx.engine("reader") as engine, snapshot(engine) as connection:
            document = what_if(connection, asked, policy, supposed)
    except UnknownModel as error:
        raise NotFoundError(str(error)) from error
    except BillingError as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json(document)
    else:
        _print(document, as_csv=as_csv)


def _months(month: str | None, months: str | None) -> list[str]:
    """The months asked for, in order."""
    from billing.errors import BillingError
    from billing.periods import month_in

    if (month is None) == (months is None):
        raise UsageError("name either --month 2026-10 or --months 2026-01..2026-12")
    first, dots, last = (month or months or "").partition("..")
    if (months is not None) != bool(dots):
        raise UsageError(f"--months is {months!r}: write the first and the last month, 2026-01..2026-12")
    last = last or first
    try:
        for name in (first, last):
            month_in(name, "UTC")
    except BillingError as error:
        raise UsageError(str(error)) from error
    places = [int(name[:4]) * 12 + int(name[5:]) - 1 for name in (first, last)]
    count = places[1] - places[0] + 1
    if not 1 <= count <= MONTHS_MAX:
        raise UsageError(f"--months is {first}..{last}: name the earlier month first, and at most {MONTHS_MAX} months")
    return [f"{place // 12:04d}-{place % 12 + 1:02d}" for place in range(places[0], places[1] + 1)]


def _supposed(price_files: tuple[Path, ...], swaps: tuple[str, ...], seat_price: str | None) -> Supposed:
    from billing.money import parse_amount
    from billing.whatif.months import Supposed

    if seat_price is None and not price_files and not swaps:
        raise UsageError("say what to suppose: --prices FILE, --model A=B or --seat-price AMOUNT")
    if seat_price is not None and (price_files or swaps):
        raise UsageError("--seat-price stands alone: seats are paid instead of use, whatever its prices")
    try:
        price = None if seat_price is None else parse_amount(seat_price)
    except ValueError as error:
        raise UsageError(f"--seat-price is {seat_price!r}: {error}") from error
    return Supposed(tuple((file.name, file.read_bytes()) for file in price_files), swaps, price)


def _print(document: Mapping[str, Any], *, as_csv: bool) -> None:
    tables = [
        ("department", [(_department(one), one) for one in document["by_department"]]),
        ("model", [(_model(one), one) for one in document["by_model"]]),
        ("month", [(one["month"], one) for one in document["by_month"]]),
        ("total", [("total", document["total"])]),
    ]
    if as_csv:
        rows = [[kind, name, *(one[figure] for figure in FIGURES)] for kind, named in tables for name, one in named]
        print_rows(("by", "name", *FIGURES), rows, as_csv=True)
        return
    for kind, named in tables[:3]:
        rows = [[name, *(_shown(one[figure]) for figure in FIGURES)] for name, one in named]
        rows.append(["total", *(_shown(document["total"][figure]) for figure in FIGURES)])
        print_rows((kind, *FIGURES), rows, right=FIGURES)
        click.echo("")
    lost = document["total"]["lost_quantity"]
    if lost != "0":
        click.echo(f"{lost} would have no price: rows with it have no difference, because unknown is not 0", err=True)


def _department(one: Mapping[str, Any]) -> str:
    return one["department"] or "unattributed"


def _model(one: Mapping[str, Any]) -> str:
    name = f"{one['provider']}/{one['model']}" if one["provider"] else one["model"]
    return f"{name} as {one['instead']}" if one["instead"] else name


def _shown(figure: str | None) -> str:
    return "unknown" if figure is None else figure
