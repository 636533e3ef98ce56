"""`jangbu export`: a month for other systems: FOCUS rows, a balanced journal, a vendor's bridge."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.errors import UsageError
from jangbu.importing import refusals
from jangbu.output import print_json

if TYPE_CHECKING:
    from billing.outputs.texts import Language
    from jangbu.context import Context
    from jangbu.month_exports import ExportMonth


@click.group()
def export() -> None:
    """A month for other systems."""


@export.command("focus")
@click.option("--month", required=True, metavar="YYYY-MM", help="The organisation's month.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="FILE.csv or FILE.csv.gz.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def export_focus(ctx: Context, month: str, out: Path, as_json: bool) -> None:
    """The month's statements as FOCUS 1.2 rows, checked before they are written. --currency bills in another one."""
    from jangbu.month_exports import make_focus

    _check_suffix(out, (".csv", ".csv.gz"))
    with refusals():
        read = _read(ctx, month)
        found = make_focus(read, ctx.settings.organisation or "")
    content = found.content
    _write(out, gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    if found.left_out:
        click.echo(f"jangbu: {found.left_out} units of use have no price or rate: they are in no row", err=True)
    document = {"month": month, "file": str(out), "rows": found.rows, "billed_cost": read.whole["total"],
                "currency": read.whole["currency"], "left_out_quantity": str(found.left_out)}  # fmt: skip
    if as_json:
        print_json(document)
    else:
        click.echo(f"{out}: {found.rows} rows, {read.whole['total']} {read.whole['currency']}")


@export.command("journal")
@click.option("--month", required=True, metavar="YYYY-MM", help="The organisation's month.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="FILE.csv or FILE.xlsx.")
@click.option("--layout", type=click.Choice(["generic", "local-government"]), default="generic", show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def export_journal(ctx: Context, month: str, out: Path, layout: str, as_json: bool) -> None:
    """The month as a journal whose debits are its credits, or it is refused (exit 5)."""
    from billing.outputs.rows_file import rows_csv, rows_workbook
    from jangbu.month_exports import make_journal

    _check_suffix(out, (".csv", ".xlsx"))
    with refusals():
        read = _read(ctx, month)
        journal = make_journal(read, layout, ctx.settings.journal_columns)
    columns, rows, figures, unknown = journal
    if out.suffix == ".xlsx":
        _write(out, rows_workbook(f"{month} journal", columns, rows, figures))
    else:
        _write(out, rows_csv(columns, rows, figures))
    if unknown:
        told = ", ".join(repr(name) for name in unknown)
        click.echo(f"jangbu: no vendor of the register bills {told} alone: named as the provider is", err=True)
    document = {"month": month, "file": str(out), "layout": layout, "rows": len(rows), "total": read.whole["total"],
                "currency": read.whole["currency"], "status": read.whole["status"],
                "creditors_unknown": unknown}  # fmt: skip
    if as_json:
        print_json(document)
    else:
        click.echo(f"{out}: {len(rows)} rows, {read.whole['total']} {read.whole['currency']}")


@export.command("bridge")
@click.option("--vendor", required=True, help="Who billed, as the register names it.")
@click.option("--month", required=True, metavar="YYYY-MM", help="The vendor's month.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="FILE.xlsx or FILE.pdf.")
@click.option("--lang", "language", type=click.Choice(["ko", "en"]), help="Default: by the locale.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def export_bridge(
    ctx: Context, vendor: str, month: str, out: Path, language: Language | None, as_json: bool
) -> None:
    """Ours, each class of break, the invoice: as reconciled last, with a table and a chart. Exit 4 before that."""
    from billing.money import plain
    from billing.store import snapshot
    from jangbu.languages import chosen
    from jangbu.month_letters import bridge_file

    _check_suffix(out, (".xlsx", ".pdf"))
    organisation = ctx.settings.organisation
    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        content, bridges = bridge_file(connection, vendor, month, organisation, chosen(language), out.suffix[1:])
    _write(out, content)
    document = {"vendor": vendor, "month": month, "file": str(out), "currencies": [one.currency for one in bridges],
                "difference": {one.currency: plain(one.difference) for one in bridges}}  # fmt: skip
    if as_json:
        print_json(document)
    else:
        click.echo(f"{out}: {', '.join(one.currency for one in bridges)}")


def _read(ctx: Context, name: str) -> ExportMonth:
    from billing.store import snapshot
    from jangbu.keeping import keeper_of
    from jangbu.month_exports import read_export_month

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        return read_export_month(connection, name, ctx.policy, keeper_of(ctx))


def _check_suffix(out: Path, known: tuple[str, ...]) -> None:
    if not out.name.endswith(known):
        raise UsageError(f"--out is {str(out)!r}: name a file that ends with {' or '.join(known)}")


def _write(out: Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(out)
    except OSError as error:
        why = f"it cannot be written ({error.strerror})"
        raise UsageError(f"--out is {str(out)!r}: {why}: name a file in a directory that exists") from error
