"""The ledger and what vouches for it: entries, the laws with their SQL, who did what when, files held against it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.outputs.held_months import HeldMonths
from billing.outputs.verifying import verify
from billing.sentences import Sentence
from jangbu.auditing import audit, take_out_copies
from jangbu.errors import NotFoundError
from jangbu.migrate import sql_directory
from jangbu.web.paging import PAGE, page_document, page_number, part_of, take_total
from jangbu.web.people import Role
from jangbu.web.rights import ORGANISATION
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS: Final = ("month", "id", "reason", "origin_month", "department", "account", "amount", "currency", "description",
                  "booked_at", "actor")  # fmt: skip
_FOUND: Final = """
  from ledger_entry e join ledger_line l on l.entry_id = e.id
  where (cast(:month as text) is null or e.month = :month)
    and (cast(:department as text) is null or l.department = :department)
    and (cast(:account as text) is null or l.account = :account)
    and (cast(:reason as text) is null or e.reason = :reason)
    and (cast(:words as text) is null or position(lower(:words) in lower(e.description)) > 0
         or starts_with(e.id, :words))"""
_LINES: Final = f"""
  select e.month, e.id, e.reason, e.origin_month, e.description, e.booked_at, e.actor, l.number, l.department,
         l.account, l.amount::text as amount, l.currency, l.provider, l.model, l.unit, count(*) over () as total
  {_FOUND} order by e.month desc, e.booked_at desc, e.id, l.number limit :limit offset :skip"""
_SUMS: Final = f"""
  select l.currency, sum(l.amount) filter (where l.amount > 0)::text as debit,
         sum(l.amount) filter (where l.amount < 0)::text as credit, sum(l.amount)::text as balance
  {_FOUND} group by 1 order by 1"""
_CHANGES: Final = """
  select at, actor, action, subject, detail, count(*) over () as total from (
    select at, actor, action, subject, detail::text as detail from web_event
    union all select imported_at, actor, 'import_prices', name, rows_added || ' rows' from book_import
    union all select imported_at, actor, 'import_' || register, name, rows_added || ' rows' from register_import
    union all select imported_at, actor, 'import_terms', name, '' from contract_import
    union all select imported_at, actor, 'import_allocation', file_name, '' from allocation_rule
    union all select imported_at, actor, 'import_vendor', vendor, '' from vendor
    union all select imported_at, actor, 'import_name_rule', vendor, '' from vendor_name_rule
    union all select imported_at, actor, 'import_invoice', vendor, file_name from invoice_import
    union all select run_at, actor, 'reconcile', vendor, month from reconciliation
    union all select decided_at, actor, 'break_' || action, vendor || ' ' || month, reason from break_decision
    union all select decided_at, actor, 'quarantine_' || decision, quarantine_id::text, reason from quarantine_decision
    union all select since, actor, 'period_' || state, month, '' from period_state
    union all select closed_at, actor, 'close', month, content_hash from period_close
    union all select recorded_at, actor, 'silence', coalesce(kind, department, quota_id::text, lifts::text, ''), reason
              from alert_silence
  ) as done
  where (cast(:actor as text) is null or actor = :actor) and (cast(:words as text) is null
         or position(lower(:words) in lower(action || ' ' || subject || ' ' || detail)) > 0)
  order by at desc limit :limit offset :skip"""


def read_ledger(ask: Ask) -> Document:
    """Lines of entries by search, the newest month first, with what they come to."""
    number = page_number(ask)
    asked = {name: ask.one(name) for name in ("month", "department", "account", "reason", "words")}
    if asked["month"] is not None:
        asked["month"] = ask.month()
    rows = [dict(row._mapping) for row in ask.connection.execute(text(_LINES), {**asked, **part_of(number)})]
    total = take_total(rows)
    sums = [dict(row._mapping) for row in ask.connection.execute(text(_SUMS), asked)]
    closes = ask.connection.execute(
        text("select month, content_hash, chain_hash, actor, closed_at from period_close order by month desc")
    )
    return {"asked": asked, "lines": rows, "sums": sums, "shown": page_document(number, total, rows),
            "closes": [dict(row._mapping) for row in closes]}  # fmt: skip


def read_entry(ask: Ask) -> Document:
    """One entry: what it says, its lines, what it corrects."""
    row = ask.connection.execute(
        text("select * from ledger_entry where id = :id"), {"id": ask.path["entry"]}
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            Sentence("there is no entry %(entry)s: look for it in the ledger", entry=repr(ask.path['entry']))
        )
    lines = ask.connection.execute(
        text("""select number, account, department, amount::text as amount, currency, section, charge_key, provider,
                       model, unit, price_id, quantity::text as quantity, amount_exact
                from ledger_line where entry_id = :id order by number"""),
        {"id": row.id},
    )
    entry = dict(row._mapping)
    entry.pop("database_login")
    return {**entry, "lines": [dict(line._mapping) for line in lines]}


def read_laws(ask: Ask) -> Document:
    """Every law with its SQL, and what the last check from a page found."""
    last = ask.connection.execute(
        text("select at, actor, detail from web_event where action = 'laws_checked' order by id desc limit 1")
    ).one_or_none()
    results: Mapping[str, Any] = {} if last is None else last.detail
    laws = [
        {"law": file.stem, "sql": file.read_text(encoding="utf-8"), "last": results.get(file.stem)}
        for file in sorted((sql_directory() / "checks").glob("*.sql"))
    ]
    return {"laws": laws, "checked_at": None if last is None else last.at, "by": None if last is None else last.actor}


def check_laws(ask: Ask, _form: Form) -> Done:
    """Check every law now, as `jangbu audit`; what was found is kept in the trail. An auditor changes nothing: copies
    that are still in the sums are found then, not taken out."""
    if ask.person is not None and ask.person.has(Role.FINANCE, Role.PLATFORM):
        take_out_copies(ask.books.engine("billing"))
    results = audit(ask.books.settings, ask.books.engine("reader"))
    found = {one.law: {"checked": one.checked, "violations": one.violations[:20]} for one in results}
    with ask.books.change() as connection:
        note(connection, ask.identity, "laws_checked", "audit", detail=found)
    bad = sum(1 for one in results if one.violations)
    sentence = ask.text("Every law holds.") if not bad else ask.text("%(count)s laws do not hold.", count=bad)
    return Done("/ledger/laws", sentence, {"laws": [asdict(one) for one in results]})


def read_changes(ask: Ask) -> Document:
    """Who did what when, from every table that keeps it, the newest first."""
    number = page_number(ask)
    asked = {"actor": ask.one("actor"), "words": ask.one("words")}
    rows = [dict(row._mapping) for row in ask.connection.execute(text(_CHANGES), {**asked, **part_of(number)})]
    total = take_total(rows)
    for row in rows:
        row["detail"] = _readable(row["detail"])
    return {"asked": asked, "changes": rows, "shown": page_document(number, total, rows)}


def _readable(detail: str) -> str:
    """The detail of a page's change without JSON's signs; other texts as they are."""
    try:
        told = json.loads(detail) if detail.startswith("{") else None
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return detail[:500]
    return ", ".join(f"{name}: {value}" for name, value in told.items() if value not in (None, ""))[:500]


def read_verify(_ask: Ask) -> Document:
    """The form."""
    return {"forms": ["PDF", "XLSX", "CSV", "JSON", "ZIP"]}


def verify_file(ask: Ask, form: Form) -> Done:
    """Whether a file says what the ledger says. Nothing is changed or kept."""
    name, raw = form.file("file")
    with ask.books.snapshot() as connection:
        verdicts = verify(name, raw, HeldMonths(connection, ask.books.policy))
    answers = {one.answer for one in verdicts}
    answer = "differs" if "differs" in answers else "unknown" if "unknown" in answers or not verdicts else "agrees"
    document = {"file": name, "answer": answer, "statements": [asdict(one) for one in verdicts]}
    return Done("/ledger/verify", "", document, template="ledger_verified.html")


def _table(_ask: Ask, document: Document) -> Table:
    return Table("ledger", COLUMNS, [[one[name] for name in COLUMNS] for one in document["lines"]], ("amount",))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/ledger", title="Ledger", rule=ORGANISATION, read=read_ledger, template="ledger.html", table=_table,
         about="Lines of entries: debit positive, credit negative; the closes with their hashes.",
         parameters=(Parameter("month", "booked in", example="2026-10"),
                     Parameter("department", "a department's lines"),
                     Parameter("account", "an account"), Parameter("reason", "a reason code"),
                     Parameter("words", "in the description, or an id's beginning"), PAGE)),
    View(path="/ledger/entries/{entry}", title="Entry", rule=ORGANISATION, read=read_entry,
         template="ledger_entry.html", about="One entry with its lines."),
    View(path="/ledger/laws", title="Laws", rule=ORGANISATION, read=read_laws, template="ledger_laws.html",
         about="The laws of the books, their SQL, and the last check."),
    Action(path="/ledger/laws/check", title="Check the laws", rule=ORGANISATION, do=check_laws,
           about="Check every law now, as `jangbu audit` does."),
    View(path="/ledger/changes", title="Who did what", rule=ORGANISATION, read=read_changes,
         template="ledger_changes.html", about="Who did what when, from every table that keeps it.",
         parameters=(Parameter("actor", "one person, token or login"), Parameter("words", "in what was done"), PAGE)),
    View(path="/ledger/verify", title="Verify a file", rule=ORGANISATION, read=read_verify,
         template="ledger_verify.html", about="Which files can be held against the ledger."),
    Action(path="/ledger/verify", title="Verify a file", rule=ORGANISATION, do=verify_file,
           about="Whether a statement's file says what the ledger says. Nothing is changed.",
           fields=(Field("file", "PDF, XLSX, CSV, JSON or a zip of them", "file"),)),
)  # fmt: skip
