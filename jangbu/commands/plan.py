"""`jangbu plan`: seats against use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import NotFoundError, UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.pseudonyms import Pseudonyms
    from jangbu.context import Context

PLAN_COLUMNS = ("plan", "seats", "total")
CANDIDATE_COLUMNS = ("place", "use_exact", "saving_exact")


@click.group()
def plan() -> None:
    """Plans: what the same use would cost under another one."""


@plan.command("compare")
@click.option("--month", metavar="YYYY-MM", help="The organisation's month; this or --months.")
@click.option("--months", metavar="A..B", help="Several months as one: a person has a seat in all of them or in none.")
@click.option("--seat-price", required=True, metavar="AMOUNT", help="A seat for one person and month, tax included.")
@click.option("--seats", type=click.IntRange(0, 10_000_000), help="How many (default: people in the roster).")
@click.option("--forecast", "as_forecast", is_flag=True, help="Take a month that has not ended as its forecast says.")
@click.option("--candidates", type=click.IntRange(0, 10_000_000), default=0, metavar="N",
              help="List the N people for whom a seat pays most, without saying who they are.")  # fmt: skip
@click.option("--show-people", is_flag=True, help="Say who the candidates are: user and department. Personal data.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def plan_compare(
    ctx: Context,
    month: str | None,
    months: str | None,
    seat_price: str,
    seats: int | None,
    as_forecast: bool,
    candidates: int,
    show_people: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Seats against use: which is cheaper, from what use on a seat pays for one person, and the best mixture."""
    from billing.errors import BillingError
    from billing.periods import month_in
    from billing.plans.forecasting import NothingToForecast
    from billing.plans.seat_document import comparison_document, months_between, read_month
    from billing.store import snapshot

    if (month is None) == (months is None):
        raise UsageError("name one month with --month, or several with --months A..B")
    price = _price(seat_price, ctx.policy.currency)
    try:
        names = [month] if month is not None else months_between(months or "")
        for name in names:
            month_in(name, ctx.policy.zone)
        with ctx.engine("reader") as engine, snapshot(engine) as connection:
            days_off = frozenset(ctx.settings.days_off)
            read = [
                read_month(connection, name, ctx.policy, seats, as_forecast=as_forecast, days_off=days_off)
                for name in names
            ]
    except NothingToForecast as error:
        raise NotFoundError(str(error)) from error
    except BillingError as error:
        raise UsageError(str(error)) from error
    document = comparison_document(read, price, ctx.policy, candidates=candidates, people=show_people)
    if show_people and ctx.people is not None and "candidates" in document:
        _hide_names(document["candidates"], ctx.people)
    if as_json:
        print_json(document)
    else:
        _print(document, as_csv=as_csv, people=show_people)


def _hide_names(candidates: dict[str, Any], people: Pseudonyms) -> None:
    """Pseudonyms instead of users; equal use stands in their order, because that of the names would tell."""
    places = {row["use_exact"]: row["place"] for row in candidates["rows"]}
    rows = sorted((people.row(row) for row in candidates["rows"]),
                  key=lambda row: (places[row["use_exact"]], row["user"]))  # fmt: skip
    candidates["rows"] = [{**row, "place": place} for place, row in enumerate(rows, start=1)]


def _print(document: dict[str, Any], *, as_csv: bool, people: bool) -> None:
    """Rows: the candidates where they were asked for, else the three plans with a sentence beside."""
    if "candidates" in document:
        columns = (*CANDIDATE_COLUMNS, "user", "department") if people else CANDIDATE_COLUMNS
        rows = [[row[name] for name in columns] for row in document["candidates"]["rows"]]
        print_rows(columns, rows, as_csv=as_csv, right=CANDIDATE_COLUMNS)
        return
    seats, usage = document["seats"], document["usage"]
    rows = [
        ["seats", seats["count"], seats["total"]],
        ["usage", 0, usage["total"]],
        ["mixture", document["mixture"]["seats"], document["mixed_total"]],
    ]
    print_rows(PLAN_COLUMNS, rows, as_csv=as_csv, right=PLAN_COLUMNS[1:])
    if as_csv:
        return
    currency = document["currency"]
    click.echo(
        f"{document['month']}: cheaper is {document['cheaper']}, by {document['difference']} {currency}; "
        f"{document['users_cheaper_on_seat']} people used more than {seats['price']} {currency} a seat",
        err=True,
    )
    if usage["people"] > seats["count"]:
        click.echo(f"{usage['people']} people used something, and seats are counted for {seats['count']}", err=True)
    if usage["unknown_quantity"] != "0":
        click.echo(f"{usage['unknown_quantity']} units have no price or no rate and are in no total", err=True)


def _price(text: str, currency: str) -> Decimal:
    from billing.money import parse_amount

    try:
        return parse_amount(text)
    except ValueError as error:
        raise UsageError(f"--seat-price is {text!r}, an amount in {currency}: {error}") from None
