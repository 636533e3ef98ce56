"""`jangbu forecast`: what a month, and its year, will have cost, beside budgets."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import NotFoundError, UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jangbu.context import Context

COLUMNS = ("department", "department_name", "so_far", "forecast", "low", "high", "budget", "budget_period", "state")
YEAR_COLUMNS = ("year_forecast", "year_low", "year_high", "year_budget", "year_state")
UNATTRIBUTED = "unattributed"


@click.command()
@click.option("--month", required=True, metavar="YYYY-MM", help="The organisation's month.")
@click.option("--department", metavar="CODE", help="One department's row; `unattributed` is use nobody is known for.")
@click.option("--year", "with_year", is_flag=True, help="Also the calendar year of that month.")
@click.option("--as-of", metavar="DAY", help="Leave out what was used after this day (default: last complete day).")
@click.option("--weeks", type=click.IntRange(1, 104), default=8, show_default=True, help="Weeks that are looked at.")
@click.option("--holidays", "country", metavar="COUNTRY", help="Whose holidays: KR, another ISO 3166 code, or none.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def forecast(
    ctx: Context,
    month: str,
    department: str | None,
    with_year: bool,
    as_of: str | None,
    weeks: int,
    country: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """What a month will have cost at its end, by department, with a range, beside its budget."""
    from billing.errors import BillingError
    from billing.periods import month_in
    from billing.plans.day_classes import public_holidays
    from billing.plans.forecast_document import forecast_document
    from billing.plans.forecasting import Forecaster, NothingToForecast
    from billing.store import snapshot

    try:
        month_in(month, ctx.policy.zone)
        if country is not None:
            public_holidays(country, [int(month[:4])])  # of an ended month nobody else would look at it
        with ctx.engine("reader") as engine, snapshot(engine) as connection:
            only = () if department is None else (_code(connection, department),)
            forecaster = Forecaster(
                connection, ctx.policy, _day(as_of), weeks, country, frozenset(ctx.settings.days_off)
            )
            document = forecast_document(forecaster, month, only=only, with_year=with_year)
    except NothingToForecast as error:
        raise NotFoundError(str(error)) from error
    except BillingError as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json(document)
        return
    columns = COLUMNS + YEAR_COLUMNS if with_year else COLUMNS
    rows = [_row(one, with_year=with_year) for one in document["departments"]]
    if not as_csv:
        rows = [[row[0] or UNATTRIBUTED, *row[1:]] for row in rows]
        whole = {"department": "", "department_name": "organisation", **document["organisation"]}
        rows.append(_row(whole, with_year=with_year))
    print_rows(columns, rows, as_csv=as_csv, right=("so_far", "forecast", "low", "high", "budget", *YEAR_COLUMNS[:4]))
    _say(document)


def _say(document: dict[str, Any]) -> None:
    """On standard error: from what the figures were made."""
    if document["finished"]:
        click.echo(f"{document['month']} has ended: these are its totals", err=True)
        return
    observed, to_come = document["observed"], document["days_to_come"]
    click.echo(
        f"as of {document['as_of']}, from {observed['first']} to {observed['last']}; to come: "
        f"{to_come['working']} working days, {to_come['saturday']} Saturdays, {to_come['off']} Sundays and holidays",
        err=True,
    )
    if document["unknown_quantity"] != "0":
        click.echo(f"{document['unknown_quantity']} units have no price or no rate and are in no figure", err=True)


def _row(one: dict[str, Any], *, with_year: bool) -> list[Any]:
    budget = one["budget"] or {}
    cells = [one["department"], one["department_name"], one["so_far"], one["forecast"], one["low"], one["high"]]
    cells += [budget.get("amount"), budget.get("period"), budget.get("state")]
    if with_year:
        year = one["year"]
        beside = year["budget"] or {}
        cells += [year["forecast"], year["low"], year["high"], beside.get("amount"), beside.get("state")]
    return cells


def _code(connection: Connection, department: str) -> str | None:
    """The department asked for; None is the unattributed account. Raises NotFoundError for one that nobody knows."""
    from billing.plans.registers import unknown_departments

    if not unknown_departments(connection, [department]):
        return department
    if department == UNATTRIBUTED:
        return None
    raise NotFoundError(f"department is {department!r}: neither departments, roster nor usage name it")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or text != day.isoformat():
        raise UsageError(f"--as-of is {text!r}: write a day, as in 2026-10-21")
    return day
