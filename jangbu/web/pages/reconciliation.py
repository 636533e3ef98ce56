"""Vendors and months as a board; a vendor's month with its bridge, proof and breaks; a vendor's year by class."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.breaks.bridges import read_bridges
from billing.breaks.documents import COLUMNS, KEY_PARTS, item_document
from billing.breaks.states import STATES
from billing.breaks.worklist import Wanted, WorkItem, count_breaks, read_items
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import BUILT_IN, vendor_for
from billing.money import exact, plain
from billing.periods import month_in
from billing.reconciliation.groups import BreakClass
from billing.reconciliation.trend import classes_seen, read_trend
from billing.sentences import Sentence
from jangbu.errors import UsageError
from jangbu.web.charts import Step
from jangbu.web.paging import PAGE, page_of
from jangbu.web.paths import name_of
from jangbu.web.rights import ORGANISATION
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.breaks.bridges import RecordedBridge

MONTHS_SHOWN: Final = 6
CLASSES: Final = tuple(str(one) for one in BreakClass)
BOARD_COLUMNS: Final = ("vendor", "month", "state", "currency", "ours", "invoice", "difference", "open", "disputed")
BOARD_FIGURES: Final = ("ours", "invoice", "difference", "open", "disputed")
MONTH: Final = Parameter("month", "the last month shown, YYYY-MM", example="2026-10")
_RUNS: Final = """
  select distinct on (vendor, month, currency)
         vendor, month, currency, ours_total, invoice_total, last_import_id, run_at,
         exists (select from reconciliation_break b where b.reconciliation_id = r.id and b.provisional) as provisional
  from reconciliation r where month between :first and :last order by vendor, month, currency, id desc"""
_IMPORTED: Final = """
  select i.vendor, to_char(d.day, 'YYYY-MM') as month, max(i.id) as last_import_id
  from invoice_import i join invoice_day d on d.import_id = i.id
  where d.day >= cast(:first || '-01' as date) and d.day < cast(:last || '-01' as date) + interval '1 month'
  group by 1, 2"""


def read_board(ask: Ask) -> Document:
    """A cell for each vendor and month: how far its proof is, and what invoice and books differ by."""
    last = ask.month()
    months = months_until(last, MONTHS_SHOWN)
    span = {"first": months[0], "last": last}
    runs: dict[tuple[str, str], list[Any]] = {}
    for row in ask.connection.execute(text(_RUNS), span):
        runs.setdefault((row.vendor, row.month), []).append(row)
    imported = {(row.vendor, row.month): row.last_import_id for row in ask.connection.execute(text(_IMPORTED), span)}
    counts = {
        (month, one.vendor, one.currency): one
        for month in sorted({month for _, month in runs}) for one in count_breaks(ask.connection, month)
    }  # fmt: skip
    cells = []
    for vendor in _vendors(ask, {name for name, _ in (*runs, *imported)}):
        for month in months:
            found = runs.get((vendor, month), [])
            given = imported.get((vendor, month))
            cells += _cells(vendor, month, found, given, counts) or [
                _cell(vendor, month, "no_invoice" if given is None else "imported")
            ]
    return {"months": months, "month": last, "vendors": list(dict.fromkeys(one["vendor"] for one in cells)),
            "cells": cells, "earlier": months_until(months[0], 2)[0], "later": _after(last)}  # fmt: skip


def _cells(vendor: str, month: str, runs: Sequence[Any], given: int | None, counts: Any) -> list[Document]:
    made = []
    for run in runs:
        count = counts.get((month, vendor, run.currency))
        if count is None and not run.invoice_total and not run.ours_total:
            continue  # a currency that an earlier run had, and nothing is left of
        is_open = 0 if count is None else count.open
        state = "open" if is_open else "provisional" if run.provisional else "settled"
        with exact():
            difference = run.invoice_total - run.ours_total
        made.append(_cell(vendor, month, state) | {
            "currency": run.currency, "ours": plain(run.ours_total), "invoice": plain(run.invoice_total),
            "difference": plain(difference), "open": is_open, "disputed": 0 if count is None else count.disputed,
            "run_at": run.run_at, "newer_import": given is not None and given > run.last_import_id,
        })  # fmt: skip
    return made


def _cell(vendor: str, month: str, state: str) -> Document:
    nothing = dict.fromkeys(("currency", "ours", "invoice", "difference", "open", "disputed", "run_at"))
    return {"vendor": vendor, "month": month, "state": state, **nothing, "newer_import": False}


def _vendors(ask: Ask, seen: set[str]) -> list[str]:
    """Those of the register, those that billed, and the built-in ones whose models are used."""
    used = set(ask.connection.execute(text("select distinct provider from route")).scalars())
    register = {row.vendor for row in read_register(ask.connection)}
    built_in = {name for name, row in BUILT_IN.items() if used & set(row.providers)}
    return sorted(seen | register | built_in)


def months_until(last: str, count: int) -> list[str]:
    """So many months, the last one included, in order."""
    place = int(last[:4]) * 12 + int(last[5:7]) - 1
    return [f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(place - count + 1, place + 1)]


def _after(month: str) -> str:
    place = int(month[:4]) * 12 + int(month[5:7])
    return f"{place // 12:04d}-{place % 12 + 1:02d}"


def read_month(ask: Ask) -> Document:
    """A vendor's month as it was reconciled last. Raises UsageError, UnknownVendor."""
    vendor, month = name_of(ask.path["vendor"]), ask.month()
    month_in(month, "UTC")
    bridges = read_bridges(ask.connection, vendor, month)
    if not bridges:
        vendor_for(read_register(ask.connection), vendor, month)
    wanted = _wanted(ask, vendor, month)
    items = read_items(ask.connection, wanted)
    every = items if wanted == Wanted(month, vendor) else read_items(ask.connection, Wanted(month, vendor))
    documents = [_row(one) for one in items]
    return {
        "vendor": vendor, "month": month, "bridges": [_bridge(one) for one in bridges],
        "matched": _matched(ask, vendor, month), "breaks": documents, "shown": page_of(ask, documents),
        "asked": {"class": wanted.cls, "state": wanted.state, "owner": wanted.owner},
        "classes": sorted({one.cls for one in every}), "states": list(STATES),
        "owners": sorted({one.owner for one in every if one.owner}),
        "open": sum(one.is_open for one in every), "total": len(every),
        "disputed": sum(one.state == "disputed" for one in every),
        "imports": _imports(ask, vendor, month), "limit": plain(ask.books.settings.writeoff_limit),
        "limit_currency": ask.books.policy.currency,
    }  # fmt: skip


def _wanted(ask: Ask, vendor: str, month: str) -> Wanted:
    cls, state = ask.one("class"), ask.one("state")
    for word, known in ((cls, CLASSES), (state, STATES)):
        if word is not None and word not in known:
            raise UsageError(
                Sentence("%(word)s is none of %(known)s: use one of them", word=repr(word), known=", ".join(known))
            )
    return Wanted(month, vendor, cls, next((one for one in STATES if one == state), None), ask.one("owner"))


def _row(item: WorkItem) -> Document:
    """A break with the number of its history, which a decision sends along: what moved meanwhile is refused."""
    return {**item_document(item), "place": item.place, "fingerprint": item.fingerprint}


def _bridge(one: RecordedBridge) -> Document:
    ours, *middle, invoice = one.steps
    with exact():
        breaks = sum((step.amount for step in middle), Decimal(0))
        between = invoice.amount - ours.amount
    return {
        "currency": one.currency, "run_at": one.run_at,
        "steps": [{"name": step.name, "class": None if step.cls is None else str(step.cls), "breaks": step.count,
                   "amount": plain(step.amount), "sum": plain(step.sum_after)} for step in one.steps],
        "proof": {"ours": plain(ours.amount), "breaks": plain(breaks), "invoice": plain(invoice.amount),
                  "difference": plain(one.difference)}, "difference": plain(between),
        "drawn": [Step(step.amount, is_total=step.cls is None) for step in one.steps],
    }  # fmt: skip


def _matched(ask: Ask, vendor: str, month: str) -> list[Document]:
    """By currency what agrees group by group, and on which level the rest was compared."""
    rows = ask.connection.execute(
        text("""select distinct on (currency) id, currency, matched_groups, matched_amount::text as amount,
                       stated_total::text as stated, invoice_total::text as invoice, actor, run_at
                from reconciliation where vendor = :vendor and month = :month order by currency, id desc"""),
        {"vendor": vendor, "month": month},
    ).all()
    made = []
    for row in rows:
        levels = ask.connection.execute(
            text("""select match_level as level, count(*) as breaks, sum(amount)::text as amount
                    from reconciliation_break where reconciliation_id = :id group by 1 order by 1"""),
            {"id": row.id},
        )
        made.append({
            "currency": row.currency, "groups": row.matched_groups, "amount": row.amount, "stated_total": row.stated,
            "invoice": row.invoice, "actor": row.actor, "run_at": row.run_at,
            "levels": [dict(level._mapping) for level in levels],
        })  # fmt: skip
    return made


def _imports(ask: Ask, vendor: str, month: str) -> list[Document]:
    """The files behind the invoice's side, with how many of the month's days each still says."""
    rows = ask.connection.execute(
        text("""select i.id, i.file_name, i.format, i.imported_at, i.actor, i.lines, count(d.day) as days,
                       count(d.day) filter (where d.superseded_by is null) as days_that_count
                from invoice_import i join invoice_day d on d.import_id = i.id
                where i.vendor = :vendor and d.day >= cast(:month || '-01' as date)
                  and d.day < cast(:month || '-01' as date) + interval '1 month'
                group by i.id order by i.id desc limit 50"""),
        {"vendor": vendor, "month": month},
    )
    return [dict(row._mapping) for row in rows]


def read_year(ask: Ask) -> Document:
    """A vendor's year by class, as its months were recorded last."""
    vendor = name_of(ask.path["vendor"])
    asked = ask.path["year"]
    if not (asked.isascii() and asked.isdigit() and 2015 <= int(asked[:5]) <= 2099):
        raise UsageError(Sentence("%(asked)s is no year: write one such as 2026", asked=repr(asked)))
    months = read_trend(ask.connection, vendor, int(asked))
    classes = classes_seen(months)
    drawn: dict[str, list[list[Decimal]]] = {}
    for one in months:
        drawn.setdefault(one.currency, []).append([one.classes.get(name, (0, Decimal(0)))[1] for name in classes])
    return {
        "vendor": vendor, "year": int(asked), "classes": classes, "currencies": sorted(drawn), "drawn": drawn,
        "months": [
            {"month": one.month, "currency": one.currency, "ours_total": plain(one.ours_total),
             "invoice_total": plain(one.invoice_total), "run_at": one.run_at,
             "classes": {name: {"breaks": count, "amount": plain(amount)}
                         for name, (count, amount) in sorted(one.classes.items())}}
            for one in months
        ],
    }  # fmt: skip


def _board_table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in BOARD_COLUMNS] for one in document["cells"]]
    return Table("reconciliation", BOARD_COLUMNS, rows, BOARD_FIGURES)


def _month_table(_ask: Ask, document: Document) -> Table:
    rows = []
    for one in document["breaks"]:
        days = one["days"]
        cells = {
            **one, **{name: one["key"].get(name) for name in KEY_PARTS},
            "days": days[0] if len(days) == 1 else f"{len(days)} from {days[0]}" if days else "",
            "open": "yes" if one["open"] else "no", "provisional": "yes" if one["provisional"] else "no",
            "also": "; ".join(f"{was['month']}: {was['state']} because {was['reason']}" for was in one["also"]),
        }  # fmt: skip
        rows.append([cells[name] for name in COLUMNS])
    name = f"breaks-{document['vendor']}-{document['month']}"
    return Table(name, COLUMNS, rows, ("amount", "difference"))


def _year_table(_ask: Ask, document: Document) -> Table:
    classes = document["classes"]
    rows = [
        [one["month"], one["currency"], one["ours_total"],
         *(one["classes"].get(name, {}).get("amount") for name in classes), one["invoice_total"]]
        for one in document["months"]
    ]  # fmt: skip
    columns = ("month", "currency", "ours", *classes, "invoice")
    return Table(f"reconciled-{document['vendor']}-{document['year']}", columns, rows, columns[2:])


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/reconciliation", title="Reconciliation", rule=ORGANISATION, read=read_board,
         template="reconciliation.html", table=_board_table, parameters=(MONTH,),
         about="How far each vendor's month is proven, and what invoice and books differ by."),
    View(path="/reconciliation/{vendor}/year/{year}", title="A vendor's year", rule=ORGANISATION, read=read_year,
         template="reconciliation_year.html", table=_year_table,
         about="What each month's last reconciliation found, by class."),
    View(path="/reconciliation/{vendor}/{month}", title="A vendor's month", rule=ORGANISATION, read=read_month,
         template="reconciliation_month.html", table=_month_table,
         about="The bridge from our books to the invoice, its proof, and the breaks.",
         parameters=(Parameter("class", "breaks of one class", CLASSES), Parameter("state", "in one state", STATES),
                     Parameter("owner", "that somebody works on"), PAGE)),
)  # fmt: skip
