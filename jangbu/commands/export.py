"""`jangbu export`: a month for other systems: FOCUS rows, a balanced journal, a vendor's bridge."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from jangbu.errors import LawViolatedError, NotFoundError, UsageError
from jangbu.importing import refusals
from jangbu.output import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.outputs.resolution import Payer
    from billing.outputs.texts import Language
    from billing.outputs.vendor_names import Creditors
    from billing.prices import PriceKey
    from jangbu.context import Context

BROKEN_SHOWN_MAX = 20


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
    from billing.outputs.focus import COLUMNS, FocusMonth, focus_csv, focus_rows, sub_account
    from billing.outputs.focus_rules import broken_rules

    _check_suffix(out, (".csv", ".csv.gz"))
    with refusals():
        read = _read(ctx, month)
        organisation = ctx.settings.organisation or ""
        found = focus_rows(read.documents, FocusMonth(organisation, read.creditors, read.price_keys, read.cost_centres))
    totals = [(sub_account(one), one["total"]) for one in read.documents]
    broken = broken_rules(COLUMNS, found.rows, totals, read.whole["total"])
    if broken:
        told = "; ".join(broken[:BROKEN_SHOWN_MAX])
        raise LawViolatedError(f"nothing was written, because the rows break {len(broken)} rules of FOCUS: {told}")
    content = focus_csv(found.rows)
    _write(out, gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    if found.left_out:
        click.echo(f"jangbu: {found.left_out} units of use have no price or rate: they are in no row", err=True)
    document = {"month": month, "file": str(out), "rows": len(found.rows), "billed_cost": read.whole["total"],
                "currency": read.whole["currency"], "left_out_quantity": str(found.left_out)}  # fmt: skip
    if as_json:
        print_json(document)
    else:
        click.echo(f"{out}: {len(found.rows)} rows, {read.whole['total']} {read.whole['currency']}")


@export.command("journal")
@click.option("--month", required=True, metavar="YYYY-MM", help="The organisation's month.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="FILE.csv or FILE.xlsx.")
@click.option("--layout", type=click.Choice(["generic", "local-government"]), default="generic", show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def export_journal(ctx: Context, month: str, out: Path, layout: str, as_json: bool) -> None:
    """The month as a journal whose debits are its credits, or it is refused (exit 5)."""
    from billing.outputs.journal import GENERIC_COLUMNS, GENERIC_FIGURES, generic_journal, items
    from billing.outputs.resolution import FIGURES, resolution_rows
    from billing.outputs.rows_file import rows_csv, rows_workbook

    _check_suffix(out, (".csv", ".xlsx"))
    with refusals():
        read = _read(ctx, month)
        parts = items(read.documents, read.creditors)
        journal = generic_journal(read.whole, parts)
        if layout == "generic":
            rows, figures = journal, GENERIC_FIGURES
        else:
            rows, figures = resolution_rows(read.whole, parts, read.payers), FIGURES
    columns: tuple[str, ...] = GENERIC_COLUMNS if layout == "generic" else ctx.settings.journal_columns
    if out.suffix == ".xlsx":
        _write(out, rows_workbook(f"{month} journal", columns, rows, figures))
    else:
        _write(out, rows_csv(columns, rows, figures))
    unknown = sorted({part.creditor.name for part in parts if part.creditor is not None and not part.creditor.is_known})
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
    from billing.breaks.bridges import read_bridges
    from billing.money import plain
    from billing.outputs import font
    from billing.outputs.bridge_files import bridge_page, bridge_workbook
    from billing.outputs.paper import paper_pdf
    from billing.periods import month_in
    from billing.store import snapshot
    from jangbu.languages import chosen

    _check_suffix(out, (".xlsx", ".pdf"))
    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        month_in(month, "UTC")
        bridges = read_bridges(connection, vendor, month)
    if not bridges:
        raise NotFoundError(
            f"{vendor} {month} was never reconciled: `jangbu reconcile --vendor {vendor} --month {month}`"
        )
    lang = chosen(language)
    if out.suffix == ".xlsx":
        content = bridge_workbook(vendor, month, bridges, lang)
    else:
        page = bridge_page(vendor, month, bridges, ctx.settings.organisation or "", lang, font.covered())
        content = paper_pdf(page, max(one.run_at for one in bridges))
    _write(out, content)
    document = {"vendor": vendor, "month": month, "file": str(out), "currencies": [one.currency for one in bridges],
                "difference": {one.currency: plain(one.difference) for one in bridges}}  # fmt: skip
    if as_json:
        print_json(document)
    else:
        click.echo(f"{out}: {', '.join(one.currency for one in bridges)}")


class _Month(NamedTuple):
    """What both exports read, in one state of the database."""

    whole: Mapping[str, Any]
    documents: Sequence[Mapping[str, Any]]
    creditors: Creditors
    price_keys: Mapping[str, PriceKey]
    cost_centres: Mapping[str, str]
    payers: Mapping[str, Payer]


def _read(ctx: Context, name: str) -> _Month:
    from billing.invoices.vendor_store import read_register
    from billing.outputs.resolution import Payer
    from billing.outputs.vendor_names import Creditors
    from billing.periods import hour_start, month_in
    from billing.plans.departments import in_force, terms_of
    from billing.plans.registers import held_departments
    from billing.statement_document import read_month
    from billing.store import read_price_rows, snapshot
    from jangbu.keeping import keeper_of

    policy = ctx.policy
    month = month_in(name, policy.zone)
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        whole, documents = read_month(connection, name, policy, keeper_of(ctx))
        register = in_force(terms_of(held_departments(connection)), hour_start(month.end_hour - 1))
        providers = {line["provider"] for line in whole["lines"]}
        keys = {row.code: row.key for row in read_price_rows(connection, providers)} if providers else {}
        creditors = Creditors(read_register(connection), month.days[-1])
    names = {one["department"]: one["department_name"] for one in documents if one["department"] is not None}
    payers = {
        code: Payer(shown or code, (row.programme or "") if row else "", (row.budget_item or "") if row else "")
        for code, shown in names.items()
        for row in (register.get(code),)
    }
    centres = {code: row.cost_centre for code, row in register.items() if row.cost_centre}
    return _Month(whole, documents, creditors, keys, centres, payers)


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
