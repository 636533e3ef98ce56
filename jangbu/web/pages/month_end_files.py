"""Files of a month for others: the statements as one zip, the journal, the spending resolution, FOCUS rows."""

from __future__ import annotations

from typing import Any, Final

from billing.outputs.archive import archive
from billing.outputs.month_files import month_files
from billing.outputs.rows_file import rows_csv, rows_workbook
from billing.statement_document import read_month
from jangbu.month_exports import ExportMonth, make_focus, make_journal, read_export_month
from jangbu.web.open_months import keeper_of
from jangbu.web.pages.department_files import LANGUAGES, MEDIA, wanted_of
from jangbu.web.rights import ORGANISATION
from jangbu.web.views import Ask, Download, File, Parameter, Registered

FORMS: Final = ("csv", "xlsx")


def make_zip(ask: Ask) -> File:
    """Every department's statement and the organisation's, as PDF, XLSX and CSV."""
    month = ask.month()
    whole, documents = read_month(ask.connection, month, ask.books.policy, keeper_of(ask.books))
    files = month_files(documents, whole, ["pdf", "xlsx", "csv"], wanted_of(ask, month, documents))
    return File(f"{month}-statements.zip", archive({one.name: one.content for one in files}), "application/zip")


def _read(ask: Ask) -> ExportMonth:
    return read_export_month(ask.connection, ask.month(), ask.books.policy, keeper_of(ask.books))


def _journal(layout: str, name: str) -> Any:
    def make(ask: Ask) -> File:
        journal = make_journal(_read(ask), layout, ask.books.settings.journal_columns)
        form = "xlsx" if ask.one("format") == "xlsx" else "csv"
        columns, rows, figures, _ = journal
        if form == "xlsx":
            content = rows_workbook(f"{ask.month()} journal", columns, rows, figures)
        else:
            content = rows_csv(columns, rows, figures)
        return File(f"{ask.month()}-{name}.{form}", content, MEDIA[form])

    return make


def make_focus_file(ask: Ask) -> File:
    """FOCUS 1.2 rows, checked."""
    found = make_focus(_read(ask), ask.books.settings.organisation or "")
    return File(f"{ask.month()}-focus.csv", found.content, MEDIA["csv"])


_FORMAT: Final = (Parameter("format", "csv where not given", FORMS),)
REGISTERED: Final[tuple[Registered, ...]] = (
    Download(path="/month-end/{month}/files/statements", title="Statements", rule=ORGANISATION, make=make_zip,
             parameters=(Parameter("lang", "the files' language", LANGUAGES),),
             about="A zip of every statement as PDF, XLSX and CSV."),
    Download(path="/month-end/{month}/files/journal", title="Journal", rule=ORGANISATION, parameters=_FORMAT,
             make=_journal("generic", "journal"), about="The month as a journal whose debits are its credits."),
    Download(path="/month-end/{month}/files/resolution", title="Spending resolution", rule=ORGANISATION,
             parameters=_FORMAT, make=_journal("local-government", "resolution"),
             about="The journal as Korean local government resolves spending."),
    Download(path="/month-end/{month}/files/focus", title="FOCUS", rule=ORGANISATION, make=make_focus_file,
             about="The statements as FOCUS 1.2 rows."),
)  # fmt: skip
