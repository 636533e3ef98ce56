"""`jangbu vendor`, `jangbu invoice` and `jangbu reconcile`: what vendors bill, and the proof of it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jangbu.commands.reconciled_year import show_year
from jangbu.commands.vendor_names import name_map
from jangbu.errors import LawViolatedError, NotFoundError, RefusedByStateError, UsageError, WorkLeftError
from jangbu.importing import ExistingFile, import_state
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from billing.invoices.imported import Change, Imported
    from billing.invoices.reading import ImportRow
    from billing.invoices.vendors import Vendor
    from billing.reconciliation.bridge import Step
    from billing.reconciliation.groups import Reconciliation
    from billing.reconciliation.month import ReconciledMonth
    from jangbu.context import Context

VENDOR_COLUMNS = (
    "vendor",
    "creditor",
    "providers",
    "accounts",
    "zone",
    "currency",
    "tax_mode",
    "tax_rate",
    "fx_policy",
    "settle_days",
    "valid_from",
    "valid_to",
    "tax_in_price",
    "fx_day",
    "tolerance_amount",
    "tolerance_share",
)
IMPORT_COLUMNS = (
    "import_id",
    "vendor",
    "kind",
    "format",
    "file",
    "first_day",
    "last_day",
    "days",
    "days_that_count",
    "lines",
    "amounts",
    "imported_at",
    "actor",
)
STEP_COLUMNS = ("step", "breaks", "amount", "sum")
LISTED_COLUMNS = ("class", "amount", "day", "model", "unit", "account", "provisional", "why")
BREAKS_SHOWN = 20
CHANGES_SHOWN = 10
BAR_WIDTH = 24
FILE = ExistingFile()
Result = TypeVar("Result")


@click.group()
def vendor() -> None:
    """The vendor register: who bills, for whose models, in which zone."""


vendor.add_command(name_map)


@vendor.command("import")
@click.argument("file", type=FILE)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def vendor_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add vendors from a CSV file. `providers` and `accounts` are lists separated by ; or spaces."""
    from billing.invoices.vendor_store import add_vendors
    from billing.invoices.vendors import read_vendors

    with refusals():
        rows = read_vendors(file.read_bytes(), file.name)

    def say(changed: list[Vendor]) -> list[str]:
        return [f"{file.name}: {len(changed)} rows added, {len(rows) - len(changed)} as they were"]

    changed = write(ctx, lambda connection: add_vendors(connection, rows, ctx.actor), say, dry_run=dry_run, yes=yes)
    if as_json:
        print_json(
            {
                **import_state(dry_run=dry_run),
                "source": file.name,
                "added": [_vendor_document(row) for row in changed],
                "unchanged": len(rows) - len(changed),
            }
        )
    else:
        echo(say(changed), dry_run)


@vendor.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def vendor_list(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """The register, with what is built in and not replaced by an import."""
    from billing.invoices.vendor_store import read_register
    from billing.invoices.vendors import BUILT_IN
    from billing.store import snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        register = read_register(connection)
    known = {row.vendor for row in register}
    documents = [{**_vendor_document(row), "built_in": False} for row in register]
    documents += [{**_vendor_document(row), "built_in": True} for name, row in BUILT_IN.items() if name not in known]
    if as_json:
        print_json({"vendors": documents})
    else:
        print_rows((*VENDOR_COLUMNS, "built_in"), [
            [" ".join(cell) if isinstance(cell, list) else ("yes" if cell is True else "no" if cell is False else cell)
             for cell in document.values()] for document in documents
        ], as_csv=as_csv, right=("tax_rate", "settle_days"))  # fmt: skip


@click.group()
def invoice() -> None:
    """Vendors' invoices: import, list."""


@invoice.command("import")
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--vendor", "vendor_name", required=True, help="Who bills, as the register names it.")
@click.option("--month", "month_name", metavar="YYYY-MM", help="The vendor's month; lines outside it refuse the file.")
@click.option("--mapping", "mapping_file", type=FILE, help="How to read a table of no known shape: a TOML file.")
@click.option(
    "--replace", is_flag=True, help="Let day totals take the place of line items, or a superseded file return."
)
@click.option("--dry-run", is_flag=True, help="Show what would be imported; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def invoice_import(
    ctx: Context,
    files: tuple[Path, ...],
    vendor_name: str,
    month_name: str | None,
    mapping_file: Path | None,
    replace: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Import a vendor's files, recognised by their content or read by --mapping; all of them or none."""
    from billing.invoices.mapping import MappingFile
    from billing.invoices.source import SourceFile
    from billing.invoices.store import Delivery, import_files
    from billing.invoices.vendor_store import read_register
    from billing.invoices.vendors import vendor_for

    with refusals():
        sources = [SourceFile(file.name, file.read_bytes()) for file in files]
        mapping = None if mapping_file is None else MappingFile(mapping_file.name, mapping_file.read_bytes())

    def work(connection: Connection) -> list[Imported]:
        terms = vendor_for(read_register(connection), vendor_name, month_name)
        month = None if month_name is None else terms.month(month_name)
        return import_files(connection, sources, Delivery(terms, month, ctx.actor, replace, mapping))

    imported = write(ctx, work, import_sentences, dry_run=dry_run, yes=yes)
    if as_json:
        print_json({**import_state(dry_run=dry_run), "imports": [imported_document(one) for one in imported]})
    else:
        echo(import_sentences(imported), dry_run)


@invoice.command("list")
@click.option("--vendor", "vendor_name", help="Imports of one vendor only.")
@click.option("--month", "month_name", metavar="YYYY-MM", help="Imports that cover some day of a month.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def invoice_list(ctx: Context, vendor_name: str | None, month_name: str | None, as_json: bool, as_csv: bool) -> None:
    """What was imported, and which of its days still count."""
    from billing.invoices.reading import list_imports
    from billing.periods import month_in
    from billing.store import snapshot

    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        days = None if month_name is None else month_in(month_name, "UTC").days
        rows = list_imports(connection, vendor_name, days)
    documents = [_import_row_document(row) for row in rows]
    if as_json:
        print_json({"imports": documents})
    else:
        shown = [
            {**document, "amounts": _amounts_text(row.amounts)} for row, document in zip(rows, documents, strict=True)
        ]
        print_rows(
            IMPORT_COLUMNS,
            ([one[name] for name in IMPORT_COLUMNS] for one in shown),
            as_csv=as_csv,
            right=("days", "days_that_count", "lines", "amounts"),
        )


@click.command()
@click.option("--vendor", "vendor_name", required=True, help="Who bills, as the register names it.")
@click.option("--month", "month_name", metavar="YYYY-MM", help="The vendor's month, in its zone.")
@click.option("--year", type=click.IntRange(2015, 2099), help="Instead: a year by class, as its months were recorded.")
@click.option("--limit", default=BREAKS_SHOWN, show_default=True, help="Breaks listed as text; 0 lists all.")
@click.option("--dry-run", is_flag=True, help="Do not record the run.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def reconcile(
    ctx: Context,
    vendor_name: str,
    month_name: str | None,
    year: int | None,
    limit: int,
    dry_run: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Prove a vendor's month: every difference classed, the sum exact. Exit 6 where somebody has to decide."""
    from billing.breaks.worklist import has_open_breaks
    from billing.reconciliation.document import BREAK_COLUMNS, break_rows, month_document
    from billing.reconciliation.month import reconcile_month
    from billing.reconciliation.record import record
    from billing.store import snapshot

    if (month_name is None) == (year is None):
        raise UsageError("name the month to prove (--month 2026-10), or a year to look at (--year 2026)")
    if year is not None:
        show_year(ctx, vendor_name, year, as_json=as_json, as_csv=as_csv)
        return
    assert month_name is not None
    with refusals(), ctx.engine("billing") as engine:
        with snapshot(engine) as connection:
            month = reconcile_month(connection, vendor_name, month_name, datetime.now(UTC))
        is_open = month.has_open_breaks
        if not dry_run:
            with engine.begin() as connection:
                record(connection, month, ctx.actor)
                is_open = has_open_breaks(connection, vendor_name, month_name)
    if as_json:
        print_json(month_document(month))
    elif as_csv:
        print_rows(BREAK_COLUMNS, break_rows(month), as_csv=True)
    else:
        _print_month(month, limit)
    if any(document.proof.difference for document in month.documents):
        raise LawViolatedError(
            f"the proof of {vendor_name} {month_name} does not come out at 0: report this, it is our fault"
        )
    if is_open:
        raise WorkLeftError(
            f"{vendor_name} {month_name} has open breaks; each says why: `jangbu break list --month {month_name}`"
        )


@contextmanager
def refusals() -> Iterator[None]:
    """What billing refuses, with the exit code that says whose turn it is."""
    from billing.errors import BillingError, StateRefused
    from billing.invoices import errors

    try:
        yield
    except (errors.UnknownVendor, errors.NothingImported) as error:
        raise NotFoundError(str(error)) from error
    except (errors.AlreadyImported, errors.CoversAlready, StateRefused) as error:
        raise RefusedByStateError(str(error)) from error
    except errors.StoredInvoiceDamaged as error:
        raise LawViolatedError(str(error)) from error
    except BillingError as error:
        raise UsageError(str(error)) from error


def write(
    ctx: Context, work: Callable[[Connection], Result], say: Callable[[Result], list[str]], *, dry_run: bool, yes: bool
) -> Result:
    """Do an import in a transaction of the billing login. On a terminal it is tried, taken back, and asked about."""
    asks = not dry_run and not yes and sys.stdin.isatty() and sys.stdout.isatty()
    with refusals(), ctx.engine("billing") as engine, engine.connect() as connection:
        result = work(connection)
        if asks:
            connection.rollback()
            for line in say(result):
                click.echo(line, err=True)
            if not click.confirm("Write this?", err=True):
                raise RefusedByStateError("nothing was written: you said no")
            result = work(connection)
        if dry_run:
            connection.rollback()
        else:
            connection.commit()
        return result


def echo(sentences: Sequence[str], dry_run: bool) -> None:
    """Sentences on stdout, each saying so where nothing was written."""
    for sentence in sentences:
        click.echo(sentence + (" (dry run: nothing written)" if dry_run else ""))


def _vendor_document(row: Vendor) -> dict[str, Any]:
    from billing.money import plain

    found: dict[str, Any] = {name: getattr(row, name) for name in VENDOR_COLUMNS}
    return {
        **found,
        "providers": list(row.providers),
        "accounts": list(row.accounts),
        "tax_rate": plain(row.tax_rate),
        "tolerance_amount": plain(row.tolerance_amount),
        "tolerance_share": plain(row.tolerance_share),
        "fx_policy": row.fx_policy or None,
        "fx_day": None if row.fx_day is None else str(row.fx_day),
    }


def import_sentences(imported: Sequence[Imported]) -> list[str]:
    """What went in and what it replaced, a line each."""
    lines = []
    for one in imported:
        days = sorted(one.days)
        lines.append(
            f"{one.file_name}: import {one.import_id}, {one.why}; {one.lines} lines, {len(days)} days from {days[0]} "
            f"to {days[-1]}, {_amounts_text(one.amounts)}"
        )
        for old in one.supersedes:
            lines.append(
                f"  replaces {len(old.days)} days of import {old.import_id} ({old.file_name}): "
                f"{_amounts_text(old.before)} before, {_amounts_text(old.after)} now"
            )
            lines += _change_sentences(old.changes)
    return lines


def _change_sentences(changes: Sequence[Change]) -> list[str]:
    """The days and models whose amount is another one now, the largest first."""
    from billing.money import plain

    lines = [
        f"    {one.at.day} {one.at.model or 'no model'}: {plain(one.before)} before, {plain(one.after)} now "
        f"{one.at.currency}"
        for one in changes[:CHANGES_SHOWN]
    ]
    rest = len(changes) - CHANGES_SHOWN
    return lines if rest <= 0 else [*lines, f"    and {rest} more days and models; --json has them all"]


def _change_document(one: Change) -> dict[str, Any]:
    from billing.money import plain

    return {"day": one.at.day, "model": one.at.model, "currency": one.at.currency, "before": plain(one.before),
            "after": plain(one.after)}  # fmt: skip


def imported_document(one: Imported) -> dict[str, Any]:
    """One imported file as JSON has it."""
    days = sorted(one.days)
    return {
        "import_id": one.import_id, "file": one.file_name, "format": one.format, "kind": str(one.kind),
        "recognised_by": one.why, "sha256": one.sha256, "first_day": days[0], "last_day": days[-1], "days": len(days),
        "lines": one.lines, "amounts": _amounts(one.amounts), "stated_totals": _amounts(one.stated),
        "supersedes": [{"import_id": old.import_id, "file": old.file_name, "days": list(old.days),
                        "before": _amounts(old.before), "after": _amounts(old.after),
                        "changes": [_change_document(change) for change in old.changes]} for old in one.supersedes],
    }  # fmt: skip


def _import_row_document(row: ImportRow) -> dict[str, Any]:
    return {
        "import_id": row.id, "vendor": row.vendor, "kind": row.kind, "format": row.format, "file": row.file_name,
        "recognised_by": row.recognised_by, "sha256": row.sha256, "first_day": row.first_day, "last_day": row.last_day,
        "days": row.days, "days_that_count": row.standing_days, "superseded_by": list(row.superseded_by),
        "lines": row.lines, "amounts": _amounts(row.amounts), "imported_at": row.imported_at, "actor": row.actor,
    }  # fmt: skip


def _amounts(amounts: Any) -> dict[str, str]:
    from billing.money import plain

    return {currency: plain(amount) for currency, amount in sorted(amounts.items())}


def _amounts_text(amounts: Any) -> str:
    return " + ".join(f"{amount} {currency}" for currency, amount in _amounts(amounts).items()) or "no amounts"


def _print_month(month: ReconciledMonth, limit: int) -> None:
    """For each currency the bridge, the proof in one line, and the breaks, largest first."""
    from billing.money import plain

    for document in month.documents:
        click.echo(f"{month.vendor.vendor} {month.month.name} ({month.month.zone}), {document.currency}")
        _print_bridge(document)
        proof = document.proof
        click.echo(
            f"proof: invoice {plain(proof.invoice)} - ours {plain(proof.ours)} - breaks {plain(proof.breaks)} = "
            f"{plain(proof.difference)}; {document.matched_groups} groups agree ({plain(document.matched_amount)})"
        )
        _print_breaks(document, limit)
        if document.unpriced_not_billed:
            click.echo(
                f"{document.unpriced_not_billed} groups of ours have no price and were not billed either", err=True
            )
    if month.uncovered_days:
        click.echo(
            f"{len(month.uncovered_days)} days of the month are covered by no import, the first "
            f"{month.uncovered_days[0]}",
            err=True,
        )


def _print_bridge(document: Reconciliation) -> None:
    from billing.money import plain
    from billing.reconciliation.bridge import bridge

    steps = bridge(document)
    rows = [(step.name, step.count or None, _signed(step), plain(step.sum_after)) for step in steps]
    if not sys.stdout.isatty():
        print_rows(STEP_COLUMNS, rows)
        return
    most = max((abs(step.amount) for step in steps if step.cls is not None), default=0) or 1
    bars = ["" if step.cls is None else "█" * max(1, int(abs(step.amount) * BAR_WIDTH / most)) for step in steps]
    print_rows(
        (*STEP_COLUMNS, " "),
        [(*row, bar) for row, bar in zip(rows, bars, strict=True)],
        right=("breaks", "amount", "sum"),
    )


def _signed(step: Step) -> str:
    from billing.money import plain

    return plain(step.amount) if step.cls is None or step.amount < 0 else f"+{plain(step.amount)}"


def _print_breaks(document: Reconciliation, limit: int) -> None:
    from billing.money import plain
    from billing.reconciliation.bridge import largest

    listed, more = largest(document.breaks, limit or len(document.breaks))
    if not listed:
        return
    click.echo()
    print_rows(LISTED_COLUMNS, [
        (str(one.cls), plain(one.amount), one.key.day, one.key.model or one.key.item, one.key.unit, one.key.account,
         "yes" if one.provisional else "no", one.why) for one in listed
    ], right=("amount",))  # fmt: skip
    if more:
        click.echo(f"and {more} more: --limit 0, --csv or --json lists them all", err=True)
