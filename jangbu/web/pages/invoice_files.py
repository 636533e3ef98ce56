"""Vendors' files by a page: looked at first, then imported by a second press; a month reconciled again.

Nothing is kept on the server between the two. The preview's form carries small files; larger ones are chosen again,
and what is brought must have the SHA-256 that was looked at.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from billing.breaks.worklist import has_open_breaks
from billing.invoices.reading import list_imports
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile
from billing.invoices.store import Delivery, import_files
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import BUILT_IN, vendor_for
from billing.money import plain
from billing.reconciliation.document import month_document
from billing.reconciliation.month import reconcile_month
from billing.reconciliation.record import record
from billing.sentences import Sentence
from billing.store import snapshot
from jangbu.commands.invoices import imported_document, refusals
from jangbu.errors import UsageError
from jangbu.importing import import_state
from jangbu.web.paging import PAGE, page_of
from jangbu.web.paths import name_part, path_part
from jangbu.web.rights import FINANCE_OR_PLATFORM, ORGANISATION
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from billing.invoices.reading import ImportRow
    from billing.invoices.vendors import Vendor

CARRIED_BYTES_MAX: Final = 1_500_000
"""Of all files together, in the preview's form; beyond it they are chosen again."""
FILES_MAX: Final = 100
COLUMNS: Final = ("import_id", "vendor", "kind", "format", "file", "first_day", "last_day", "days", "days_that_count",
                  "lines", "amounts", "sha256", "imported_at", "actor")  # fmt: skip
PATH: Final = "/reconciliation/import"


def read_files(ask: Ask) -> Document:
    """What was imported, the newest first, and what the form needs."""
    vendor = ask.one("vendor")
    rows = sorted(list_imports(ask.connection, vendor, None), key=lambda row: -row.id)
    documents = [_row(row) for row in rows]
    register = {row.vendor for row in read_register(ask.connection)}
    return {
        "imports": documents, "shown": page_of(ask, documents), "vendor": vendor,
        "vendors": sorted(register | set(BUILT_IN)), "body_bytes_max": ask.books.settings.http_body_bytes_max,
        "month": ask.one("month"),
    }  # fmt: skip


def _row(row: ImportRow) -> Document:
    return {
        "import_id": row.id, "vendor": row.vendor, "kind": row.kind, "format": row.format, "file": row.file_name,
        "recognised_by": row.recognised_by, "sha256": row.sha256, "first_day": row.first_day, "last_day": row.last_day,
        "days": row.days, "days_that_count": row.standing_days, "superseded_by": list(row.superseded_by),
        "lines": row.lines, "amounts": {currency: plain(amount) for currency, amount in sorted(row.amounts.items())},
        "imported_at": row.imported_at, "actor": row.actor,
    }  # fmt: skip


def import_invoice(ask: Ask, form: Form) -> Done:
    """Look at files, or import them where `confirm` is sent. All of them or none; what is refused names its place."""
    files = _brought(form)
    confirmed = form.flag("confirm")
    sources = [SourceFile(name, raw) for name, raw in files]
    known = form.many("sha256")
    if confirmed and known and [one.sha256 for one in sources] != known:
        sentence = Sentence("the files are not those that were looked at: choose the same ones, in their order, again")
        raise UsageError(sentence)
    month, replace = form.optional("month"), form.flag("replace")
    with refusals(), ask.books.engine("billing").connect() as connection:
        register = read_register(connection)
        name = form.optional("vendor") or _vendor_of(sources, register)
        terms = vendor_for(register, name, month)
        of_month = None if month is None else terms.month(month)
        done = import_files(connection, sources, Delivery(terms, of_month, ask.identity, replace))
        if confirmed:
            connection.commit()
        else:
            connection.rollback()
    imports = [imported_document(one) for one in done]
    document = {**import_state(dry_run=not confirmed), "vendor": name, "imports": imports}
    if confirmed:
        going = f"/reconciliation/{name_part(name)}/{month}" if month else f"{PATH}?vendor={path_part(name)}"
        return Done(going, ask.text("%(count)s files were imported. Reconcile the month now.", count=len(done)),
                    document)  # fmt: skip
    size = sum(len(raw) for _, raw in files)
    is_carried = size <= CARRIED_BYTES_MAX
    shown = {
        **document, "month": month, "replace": replace, "was_named": form.optional("vendor") is not None,
        "files": [{"name": one.name, "sha256": one.sha256, "bytes": len(raw),
                   "carried": base64.b64encode(raw).decode("ascii") if is_carried else None}
                  for one, (_, raw) in zip(sources, files, strict=True)],
        "is_carried": is_carried,
    }  # fmt: skip
    return Done(PATH, "", {**document, "preview": shown}, template="invoice_preview.html")


def _brought(form: Form) -> list[tuple[str, bytes]]:
    """Names and contents, chosen or carried by a preview. Raises UsageError."""
    carried, names = form.many("carried"), form.many("name")
    if not carried:
        files = form.files("files")
    elif len(carried) != len(names):
        raise UsageError(Sentence("each carried file needs its name: choose the files again"))
    else:
        try:
            files = [(name, base64.b64decode(text, validate=True)) for name, text in zip(names, carried, strict=True)]
        except (binascii.Error, ValueError):
            raise UsageError(Sentence("the field 'carried' is no Base64: choose the files again")) from None
    if not 1 <= len(files) <= FILES_MAX:
        raise UsageError(
            Sentence(
                "%(count)s files were chosen: choose from 1 to %(most)s and send again",
                count=len(files),
                most=FILES_MAX,
            )
        )
    return files


def _vendor_of(sources: list[SourceFile], register: list[Vendor]) -> str:
    """Who bills with such files, where only one of the known vendors does. Raises UsageError."""
    surfaces = {recognise(one).importer.vendor for one in sources}
    rows = [*register, *(row for name, row in BUILT_IN.items() if name not in {one.vendor for one in register})]
    fits = sorted({row.vendor for row in rows if surfaces <= {row.vendor, *row.providers}})
    if len(fits) == 1:
        return fits[0]
    if next(iter(surfaces), None) in fits and len(surfaces) == 1:
        return next(iter(surfaces))
    names = ", ".join(fits or sorted({row.vendor for row in rows}))
    raise UsageError(
        Sentence(
            "the content does not tell which vendor bills this: choose one of %(names)s and send again", names=names
        )
    )


def run_month(ask: Ask, form: Form) -> Done:
    """Reconcile a vendor's month and record it, as `jangbu reconcile` does."""
    vendor, month = form.text("vendor"), form.text("month")
    with refusals(), snapshot(ask.books.engine("billing")) as connection:
        found = reconcile_month(connection, vendor, month, datetime.now(UTC))
    with ask.books.change() as connection:
        record(connection, found, ask.identity)
        is_open = has_open_breaks(connection, vendor, month)
    sentence = (
        ask.text("The month was reconciled; breaks are open.") if is_open
        else ask.text("The month was reconciled; nothing is open.")
    )  # fmt: skip
    return Done(f"/reconciliation/{name_part(vendor)}/{month}", sentence, month_document(found) | {"open": is_open})


def _table(_ask: Ask, document: Document) -> Table:
    rows: list[list[Any]] = []
    for one in document["imports"]:
        amounts = " + ".join(f"{amount} {currency}" for currency, amount in one["amounts"].items())
        rows.append([amounts if name == "amounts" else one[name] for name in COLUMNS])
    return Table("invoice-files", COLUMNS, rows, ("days", "days_that_count", "lines"))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path=PATH, title="Import invoices", rule=ORGANISATION, read=read_files, template="invoice_import.html",
         table=_table, parameters=(Parameter("vendor", "files of one vendor"), Parameter("month", "of the form"), PAGE),
         about="Vendors' files that were imported, and the form for new ones."),
    Action(path=f"{PATH}/files", title="Import invoices", rule=FINANCE_OR_PLATFORM, do=import_invoice,
           about="Vendors' files, shown before they are written; all of them or none.",
           fields=(Field("files", "the files", "file", required=False),
                   Field("vendor", "who bills; empty: by the content", required=False),
                   Field("month", "the vendor's month; lines outside it refuse the file", required=False),
                   Field("replace", "let day totals take the place of items", "flag", required=False),
                   Field("confirm", "write; else it is only tried", "flag", required=False),
                   Field("carried", "files in Base64, in place of files", "many", required=False),
                   Field("name", "their names", "many", required=False),
                   Field("sha256", "of the files that were looked at", "many", required=False))),
    Action(path="/reconciliation/run", title="Reconcile a month", rule=FINANCE_OR_PLATFORM, do=run_month,
           about="Prove a vendor's month again and record it.",
           fields=(Field("vendor", "who bills"), Field("month", "the vendor's month"))),
)  # fmt: skip
