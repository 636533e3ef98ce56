"""`jangbu usage`: a month's quantities and costs by any dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jangbu.errors import UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from jangbu.context import Context


@click.command()
@click.option("--month", required=True, metavar="YYYY-MM", help="A month in the zone of --timezone.")
@click.option(
    "--by",
    "by_words",
    metavar="DIM,...",
    help="hour, day, department, user, model, provider, account, service_tier, source, unit, usage_source, "
    "key, status (default department,model,unit).",
)
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def usage(ctx: Context, month: str, by_words: str | None, as_json: bool, as_csv: bool) -> None:
    """What was used and what it cost, exactly, in the currency of the price. --timezone says whose month."""
    from billing.errors import BillingError
    from billing.periods import month_in
    from billing.pseudonyms import shown_rows
    from billing.store import read_book, snapshot
    from billing.usage import month_usage, parse_by

    zone = ctx.settings.timezone
    try:
        by = parse_by(by_words)
        when = month_in(month, zone)
    except BillingError as error:
        raise UsageError(str(error)) from error
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        rows = month_usage(connection, when, read_book(connection), by)
    documents = shown_rows(ctx.people, [row.document(by) for row in rows], by)
    if as_json:
        print_json({"month": month, "timezone": zone, "rows": documents})
        return
    columns = (*by, "quantity", "cost", "currency", "price_status", "unpriced_quantity")
    print_rows(
        columns,
        ([document[name] for name in columns] for document in documents),
        as_csv=as_csv,
        right=("quantity", "cost", "unpriced_quantity"),
    )
