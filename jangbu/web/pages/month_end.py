"""Month end: from open to closed. What stands against the close, where it is mended, the dry run, and closing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text

from billing.ledger.checklist import ACCEPTABLE
from billing.ledger.close import MonthClosed, close_month, parse_accepted, preview
from billing.ledger.closes import STATES, read_closes
from billing.periods import month_in
from billing.sentences import Sentence
from jangbu.errors import UsageError
from jangbu.month_status import read_months, read_status
from jangbu.period_checks import check_outside
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import FINANCE, ORGANISATION
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

MENDED_AT: Final = {
    "order": "/month-end", "settings": "/month-end", "caught-up": "/data-quality?lag=1", "laws": "/ledger/laws",
    "quarantine": "/data-quality/quarantine", "unpriced": "/prices", "unconverted": "/prices",
    "unattributed": "/departments/unattributed?month={month}", "invoices": "/reconciliation",
    "reconciled": "/reconciliation", "breaks": "/reconciliation",
}  # fmt: skip
"""The page where what a check tells is mended."""
SENT_TWICE: Final = timedelta(minutes=10)
COLUMNS: Final = ("month", "state", "ended", "total", "closed_at", "content_hash")
ENTRY_COLUMNS: Final = ("entry", "reason", "origin", "account", "department", "amount", "amount_exact", "description")
_MARK: Final = text("""select (select coalesce(max(id), 0) from web_event), (select count(*) from period_close),
                              (select count(*) from quarantine_decision)""")


def read_month_end(ask: Ask) -> Document:
    """`period status`: every month with its state, the newest first."""
    months = read_months(ask.connection, ask.books.policy, ask.now)
    going = next((one["month"] for one in months if one["state"] != "closed" and one["ended"]), None)
    return {"periods": months[::-1], "next": going, "currency": ask.books.policy.currency}


def read_one_month(ask: Ask) -> Document:
    """`period status MONTH`, each check with the page where it is mended; `again=1` asks everything anew."""
    month = ask.month()
    mark = tuple(int(one) for one in ask.connection.execute(_MARK).one())
    document = ask.kept("checklist", lambda one: _checked_now(one, month), month, mark, again=ask.one("again") == "1")
    changed = ask.connection.execute(
        text("select state, since, actor from period_state where month = :month order by place"), {"month": month}
    )
    steps = {row.state: {"since": row.since, "by": row.actor} for row in changed}
    return {**document, "steps": [{"state": one, **steps.get(one, {"since": None, "by": None})} for one in STATES],
            "currency": ask.books.policy.currency, "zone": ask.books.policy.zone}  # fmt: skip


def _checked_now(ask: Ask, month: str) -> Document:
    found = read_status(ask.books.engine("reader"), month, ask.books.policy, ask.books.settings, ask.now)
    total = ask.connection.execute(
        text("select total from statement where month = :month and kind = 'organisation'"), {"month": month}
    ).scalar()
    checks = [{**one, "path": MENDED_AT.get(one["name"], "/month-end").format(month=month)}
              for one in found["checklist"]]  # fmt: skip
    forced = [one["name"] for one in checks if one["state"] == "block" and not one["acceptable"]]
    return {**found, "checklist": checks, "total": total, "checked_at": ask.now, "in_the_way": forced,
            "acceptable": [name for name in found["blockers"] if name in ACCEPTABLE]}  # fmt: skip


def read_preview(ask: Ask) -> Document:
    """`period close MONTH --dry-run`: every entry and statement that would be booked. Nothing is written.

    It computes the whole close: of several who ask within a minute one computes, and `as_of` says when."""
    month = ask.month()
    found = ask.kept("dry run", lambda one: _preview(one, month), month)
    return {**found, "shown": page_of(ask, found["lines"])}


def _preview(ask: Ask, month: str) -> Document:
    books = ask.books
    draft = preview(books.engine("billing"), month, books.policy, now=ask.now, outside=check_outside(books.settings))
    lines = [
        {"entry": entry.id, "reason": entry.reason, "origin": entry.origin_month, "description": entry.description,
         **{name: line[name] for name in ("account", "department", "amount", "amount_exact")}}
        for entry in draft.entries
        for line in entry.line_documents
    ]  # fmt: skip
    document = draft.document()
    statements = [{name: one[name] for name in ("department", "department_name", "total", "content_hash")}
                  for one in draft.documents]  # fmt: skip
    return {**{name: document[name] for name in ("month", "currency", "total", "content_hash", "checklist")},
            "entries": len(draft.entries), "lines": lines, "statements": statements, "dry_run": True,
            "as_of": ask.now}  # fmt: skip


def close(ask: Ask, form: Form) -> Done:
    """`period close MONTH --confirm MONTH --accept …`. Whoever sends twice closes once."""
    month, books = ask.month(), ask.books
    month_in(month, books.policy.zone)
    confirm = form.text("confirm")
    if confirm != month:
        raise UsageError(
            Sentence(
                "the confirmation says %(confirm)s, the month to be closed is %(month)s: write it as it "
                "is",
                confirm=repr(confirm), month=repr(month),
            )
        )
    accepted = parse_accepted(form.many("accept"))
    reason = form.optional("reason")
    if accepted and reason is None:
        raise UsageError(
            Sentence("%(checks)s is to be accepted without a reason: write why; it is kept", checks=", ".join(accepted))
        )
    going = f"/month-end/{month}"
    try:
        _note(ask, "month_close_asked", month, {"accepted": list(accepted), "reason": reason})
        draft = close_month(
            books.engine("billing"), month, books.policy, now=ask.now, actor=ask.identity, accept=accepted,
            outside=check_outside(books.settings),
        )  # fmt: skip
    except MonthClosed:
        done = _closed_just_now(ask, month)
        if done is None:
            raise
        return Done(going, ask.text("%(month)s is closed. It was sent twice and closed once.", month=month), done)
    document = draft.document()
    sentence = ask.text(
        "%(month)s is closed: %(total)s %(currency)s in %(statements)s statements, %(entries)s entries.", month=month,
        total=document["total"], currency=document["currency"], statements=len(draft.documents),
        entries=len(draft.entries),
    )  # fmt: skip
    told = {name: document[name] for name in ("month", "currency", "total", "content_hash")}
    return Done(going, sentence, {**told, "closed": True, "accepted": list(accepted)})


def _note(ask: Ask, action: str, month: str, detail: dict[str, Any]) -> None:
    """Kept before the close begins: what was accepted and why is known however it ends."""
    with ask.books.change() as connection:
        note(connection, ask.identity, action, month, detail=detail)


def _closed_just_now(ask: Ask, month: str) -> Document | None:
    """The close that the same person just made; None where it was another's, or long ago."""
    with ask.books.snapshot() as connection:
        made = next((one for one in read_closes(connection) if one.month.name == month), None)
    if made is None or made.actor != ask.identity or ask.now - made.closed_at > SENT_TWICE:
        return None
    return {"month": month, "content_hash": made.content_hash, "closed": True, "accepted": list(made.accepted)}


def _months_table(_ask: Ask, document: Document) -> Table:
    return Table("months", COLUMNS, [[one[name] for name in COLUMNS] for one in document["periods"]], ("total",))


def _checks_table(_ask: Ask, document: Document) -> Table:
    columns = ("name", "state", "sentence", "remedy", "acceptable")
    return Table(f"{document['month']}-checklist", columns,
                 [[one[name] for name in columns] for one in document["checklist"]])  # fmt: skip


def _entries_table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in ENTRY_COLUMNS] for one in document["lines"]]
    return Table(f"{document['month']}-dry-run", ENTRY_COLUMNS, rows, ("amount", "amount_exact"))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/month-end", title="Month end", rule=ORGANISATION, read=read_month_end, template="month_end.html",
         table=_months_table, about="Every month of the books with its state; `jangbu period status`."),
    View(path="/month-end/{month}", title="Month end", rule=ORGANISATION, read=read_one_month,
         template="month_end_month.html", table=_checks_table,
         parameters=(Parameter("again", "1: ask every check anew", ("1",)),),
         about="What stands between a month and its close, and where each of it is mended; or its close."),
    View(path="/month-end/{month}/dry-run", title="Dry run", rule=FINANCE, read=read_preview,
         template="month_end_dry_run.html", table=_entries_table, parameters=(PAGE,),
         about="Every entry and statement that a close would book. Nothing is written."),
    Action(path="/month-end/{month}/close", title="Close the month", rule=FINANCE, do=close,
           about="Close a month for good, as `jangbu period close MONTH --confirm MONTH`.",
           fields=(Field("confirm", "the month again, as it stands in the address"),
                   Field("accept", "checks to go past by name", "many", required=False, values=ACCEPTABLE),
                   Field("reason", "why they are accepted; it is kept", required=False))),
)  # fmt: skip
