"""`jangbu flags`: how often guardrails blocked, masked or found something, by department and month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from billing.flags.hiding import Row
    from jangbu.context import Context

COLUMNS = ("department", "flag", "events", "people", "hidden")
K_DEFAULT = 5
TOTAL = "(organisation)"
NOBODY = "(unattributed)"


@click.command()
@click.option("--month", required=True, metavar="YYYY-MM", help="A month in the zone of --timezone.")
@click.option("--k", type=click.IntRange(min=2), default=K_DEFAULT, show_default=True, metavar="PEOPLE",
              help="Groups of fewer people are not shown.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def flags(ctx: Context, month: str, k: int, as_json: bool, as_csv: bool) -> None:
    """Events with governance flags. Small groups are shown as <k, and others hidden beside them where a difference to
    the total would give them away."""
    from billing.errors import BillingError
    from billing.flags.counting import month_counts
    from billing.flags.hiding import shown_rows
    from billing.periods import month_in
    from billing.store import snapshot
    from producers.flags import FLAGS

    try:
        when = month_in(month, ctx.settings.timezone)
    except BillingError as error:
        raise UsageError(str(error)) from error
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        rows = shown_rows(month_counts(connection, when), k, FLAGS)
    if as_json:
        departments = [_document(row, k) for row in rows if not row.is_total]
        totals = [_document(row, k) for row in rows if row.is_total]
        print_json({"month": month, "timezone": ctx.settings.timezone, "k": k, "rows": departments, "totals": totals})
        return
    print_rows(COLUMNS, [_cells(row, k) for row in rows], as_csv=as_csv, right=("events", "people"))


def _document(row: Row, k: int) -> dict[str, Any]:
    """Figures are texts of whole numbers, `<k` for too small a group, null for what is hidden beside one."""
    small = f"<{k}" if row.hidden == "small" else None
    told: dict[str, Any] = {
        "flag": row.flag,
        "events": None if row.events is None else str(row.events),
        "people": small if row.people is None else str(row.people),
        "hidden": row.hidden,
    }
    return told if row.is_total else {"department": row.department, **told}


def _cells(row: Row, k: int) -> tuple[object, ...]:
    name = TOTAL if row.is_total else NOBODY if row.department is None else row.department
    document = _document(row, k)
    return (name, *(document[column] for column in COLUMNS[1:]))
