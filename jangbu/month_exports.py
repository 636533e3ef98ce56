"""A month for other systems, read in one state of the database: what journal and FOCUS rows are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from billing.invoices.vendor_store import read_register
from billing.outputs.focus import COLUMNS, FocusMonth, focus_csv, focus_rows, sub_account
from billing.outputs.focus_rules import broken_rules
from billing.outputs.journal import GENERIC_COLUMNS, GENERIC_FIGURES, generic_journal, items
from billing.outputs.resolution import FIGURES, Payer, resolution_rows
from billing.outputs.vendor_names import Creditors
from billing.periods import hour_start, month_in
from billing.plans.departments import in_force, terms_of
from billing.plans.registers import held_departments
from billing.statement_document import read_month
from billing.store import read_price_rows
from jangbu.errors import LawViolatedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from decimal import Decimal

    from sqlalchemy import Connection

    from billing.open_months import Keeper
    from billing.policy import MoneyPolicy
    from billing.prices import PriceKey

BROKEN_SHOWN_MAX = 20


class ExportMonth(NamedTuple):
    """What the exports read."""

    whole: Mapping[str, Any]
    documents: Sequence[Mapping[str, Any]]
    creditors: Creditors
    price_keys: Mapping[str, PriceKey]
    cost_centres: Mapping[str, str]
    payers: Mapping[str, Payer]


class Journal(NamedTuple):
    """A month's journal: rows, the columns that hold figures, and creditors that no vendor of the register bills."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    figures: Collection[str]
    creditors_unknown: list[str]


class Focus(NamedTuple):
    """A month's FOCUS rows as CSV; `left_out` units of use have no price or rate."""

    content: bytes
    rows: int
    left_out: int | Decimal


def read_export_month(connection: Connection, name: str, policy: MoneyPolicy, keeper: Keeper) -> ExportMonth:
    """A month with what stands beside its statements; the connection is a snapshot. Raises BillingError."""
    month = month_in(name, policy.zone)
    whole, documents = read_month(connection, name, policy, keeper)
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
    return ExportMonth(whole, documents, creditors, keys, centres, payers)


def make_journal(read: ExportMonth, layout: str, columns_of_office: tuple[str, ...]) -> Journal:
    """The journal, `generic` or of Korean local government; refused where debits are not credits."""
    parts = items(read.documents, read.creditors)
    journal = generic_journal(read.whole, parts)
    unknown = {part.creditor.name for part in parts if part.creditor is not None and not part.creditor.is_known}
    if layout == "generic":
        return Journal(GENERIC_COLUMNS, journal, GENERIC_FIGURES, sorted(unknown))
    return Journal(columns_of_office, resolution_rows(read.whole, parts, read.payers), FIGURES, sorted(unknown))


def make_focus(read: ExportMonth, organisation: str) -> Focus:
    """FOCUS 1.2 rows, checked before anybody has them. Raises LawViolatedError naming the rules they break."""
    found = focus_rows(read.documents, FocusMonth(organisation, read.creditors, read.price_keys, read.cost_centres))
    totals = [(sub_account(one), one["total"]) for one in read.documents]
    broken = broken_rules(COLUMNS, found.rows, totals, read.whole["total"])
    if broken:
        told = "; ".join(broken[:BROKEN_SHOWN_MAX])
        raise LawViolatedError(f"nothing was written, because the rows break {len(broken)} rules of FOCUS: {told}")
    return Focus(focus_csv(found.rows), len(found.rows), found.left_out)
