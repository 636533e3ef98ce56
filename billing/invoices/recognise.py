"""Which importer reads a file, found by its content; a new surface adds its object to IMPORTERS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.invoices.anthropic_analytics import AnalyticsCost
from billing.invoices.anthropic_costs import CostReport
from billing.invoices.anthropic_csv import ConsoleCostCsv, ConsoleTokenCsv
from billing.invoices.anthropic_usage import UsageReport
from billing.invoices.aws_cur import CostAndUsageReport
from billing.invoices.azure_costs import CostDetails
from billing.invoices.errors import InvoiceRefused
from billing.invoices.focus import FocusCsv
from billing.invoices.focus_months import FocusMonths
from billing.invoices.google_export import BillingExport
from billing.invoices.mapped_table import BY_MONTH, FORMATS, MappedTable
from billing.invoices.mapping import MappingFile
from billing.invoices.mistral_usage import AdminUsage
from billing.invoices.naver import ProductDemand
from billing.invoices.openai_costs import CostCsv, CostsApi
from billing.invoices.openai_usage import UsageCsv
from billing.invoices.openai_usage_api import UsageApi
from billing.invoices.openrouter import ActivityCsv
from billing.invoices.openrouter_days import ActivityApi
from billing.invoices.parquet_rows import columns_of
from billing.invoices.perplexity import AnswerCosts
from billing.invoices.xai import Invoice
from billing.sentences import Sentence

if TYPE_CHECKING:
    from billing.invoices.lines import Importer
    from billing.invoices.source import SourceFile

IMPORTERS: tuple[Importer, ...] = (
    CostsApi(),
    CostCsv(),
    UsageCsv(),
    UsageApi(),
    CostReport(),
    AnalyticsCost(),
    UsageReport(),
    ConsoleCostCsv(),
    ConsoleTokenCsv(),
    ActivityCsv(),
    ActivityApi(),
    AnswerCosts(),
    Invoice(),
    ProductDemand(),
    FocusCsv(),
    FocusMonths(),
    CostAndUsageReport(),
    CostDetails(),
    BillingExport(),
    AdminUsage(),
)
PARTS_ADD_UP = frozenset(
    {"focus.csv", "focus.by_month", "aws.cur2_csv", "azure.cost_details_csv", "google.billing_export"}
)
"""Surfaces whose export of a month is cut into several files: those of one delivery may share days."""
MONTHLY = frozenset({"x-ai.invoice", "naver.product_demand", "focus.by_month", BY_MONTH})
"""Surfaces that tell months and no days: their lines stand on the month's last day, and ours must be put there too."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The importer for a file, and why."""

    importer: Importer
    why: str


def recognise(source: SourceFile, importers: tuple[Importer, ...] = IMPORTERS) -> Recognised:
    """The one importer whose content this is. Raises InvoiceRefused where none is, or more than one."""
    asked = next((importer for importer in importers if importer.format == source.surface), None)
    if asked is not None:
        return Recognised(asked, asked.recognise(source) or f"what was asked for as {asked.format}")
    found = [Recognised(importer, why) for importer in importers if (why := importer.recognise(source)) is not None]
    if len(found) == 1:
        return found[0]
    if not found:
        begins = source.beginning.lstrip()[:60].splitlines()[:1] if not source.is_parquet else columns_of(source)
        raise InvoiceRefused.at(
            source.name,
            "line 1",
            Sentence("content"),
            ", ".join(begins),
            Sentence(
                "no vendor file that is known; known are %(known)s",
                known=", ".join(importer.format for importer in importers),
            ),
        )
    names = ", ".join(hit.importer.format for hit in found)
    raise InvoiceRefused(
        Sentence(
            "%(file)s could be %(names)s: the content does not tell; nothing of this import was stored",
            file=source.name,
            names=names,
        )
    )


def mapped(source: SourceFile, file: MappingFile) -> Recognised:
    """The importer that a mapping makes: who names one does not want anything recognised.

    Raises InvoiceRefused where the mapping is wrong.
    """
    importer = MappedTable.by(file)
    why = importer.recognise(source)
    assert why is not None
    return Recognised(importer, why)


def importer_of(format_name: str, mapping: bytes | None = None) -> Importer:
    """The importer that once read a stored file. `mapping`: the one that was named then."""
    if format_name in FORMATS:
        if mapping is None:
            return MappedTable(None, format=format_name)
        return MappedTable.by(MappingFile("the kept mapping", mapping))
    return next(importer for importer in IMPORTERS if importer.format == format_name)
