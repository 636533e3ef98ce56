"""A vendor's month as files: the dispute letter with its table, the bridge: for commands and pages alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from billing.breaks.bridges import RecordedBridge, read_bridges
from billing.breaks.worklist import Wanted, WorkItem, read_items
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import vendor_for
from billing.outputs import font
from billing.outputs.bridge_files import bridge_page, bridge_workbook
from billing.outputs.dispute import COLUMNS, FIGURES, Letter, dispute_page, dispute_rows
from billing.outputs.paper import paper_pdf
from billing.outputs.rows_file import rows_csv, rows_workbook
from billing.periods import month_in
from jangbu.errors import NotFoundError
from jangbu.made_files import file_part

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.outputs.texts import Language


class Dispute(NamedTuple):
    """What is disputed, how many rows its table has, and the files by name: PDF, CSV, XLSX."""

    items: list[WorkItem]
    rows: int
    files: dict[str, bytes]


def dispute_files(
    connection: Connection, vendor: str, month: str, organisation: str | None, language: Language
) -> Dispute:
    """The letter and its table. Raises NotFoundError where nothing is disputed, BillingError."""
    terms = vendor_for(read_register(connection), vendor, month)
    items = [one for one in read_items(connection, Wanted(month, vendor, state="disputed")) if one.found]
    if not items:
        raise NotFoundError(f"nothing that {vendor} billed for {month} is disputed: `jangbu break dispute` comes first")
    moment = max(one.decided.decided_at for one in items if one.decided is not None)
    letter = Letter(organisation or "", terms.creditor, moment.date(), language, font.covered())
    rows = dispute_rows(items)
    name = f"dispute-{file_part(vendor)}-{month}"
    return Dispute(items, len(rows), {
        f"{name}.pdf": paper_pdf(dispute_page(vendor, month, items, letter), moment),
        f"{name}.csv": rows_csv(COLUMNS, rows, FIGURES),
        f"{name}.xlsx": rows_workbook(f"dispute {month}", COLUMNS, rows, FIGURES),
    })  # fmt: skip


def bridge_file(
    connection: Connection, vendor: str, month: str, organisation: str | None, language: Language, form: str
) -> tuple[bytes, list[RecordedBridge]]:
    """The bridge as `xlsx` or `pdf`, and what it shows. Raises NotFoundError before the first run, BillingError."""
    month_in(month, "UTC")
    bridges = read_bridges(connection, vendor, month)
    if not bridges:
        raise NotFoundError(
            f"{vendor} {month} was never reconciled: `jangbu reconcile --vendor {vendor} --month {month}`"
        )
    if form == "xlsx":
        return bridge_workbook(vendor, month, bridges, language), bridges
    page = bridge_page(vendor, month, bridges, organisation or "", language, font.covered())
    return paper_pdf(page, max(one.run_at for one in bridges)), bridges
