"""A department's month: its statement, why it changed, budget, trend of 13 months, quotas, programme places, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.explaining.items import items_of
from billing.ledger.closes import month_before, months_between
from billing.money import exact, plain
from billing.movers import Group, Thing, Used, movers
from billing.open_months import read_kept_totals
from billing.periods import month_in
from billing.programmes.documents import places_document
from billing.programmes.places import places_of, waiting_at
from billing.programmes.register import held_applications, held_programmes
from billing.sums import first_and_last_hour
from jangbu.web.pages.quotas import documents_of, states_of
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import DEPARTMENT
from jangbu.web.statements import SECTIONS, code_of, read_one, with_budget, word_of
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from billing.charges import Department

TREND_MONTHS: Final = 13
MOVERS_SHOWN: Final = 10
QUOTAS_SHOWN: Final = 10
MONTH: Final = Parameter("month", "the organisation's month; the present one where not given", example="2026-10")
COLUMNS: Final = ("number", "section", "name", "provider", "model", "unit", "quantity", "price_status", "unit_price",
                  "price_currency", "price_id", "amount_exact", "fx_rate", "amount")  # fmt: skip
FIGURES: Final = ("number", "quantity", "unit_price", "amount_exact", "fx_rate", "amount")
NOUGHT: Final = Decimal(0)


def read_department(ask: Ask) -> Document:
    """`statement show`, numbered for `explain`, with what moved it and what stands beside it."""
    month, code = ask.month(), code_of(ask)
    document, before = read_one(ask, month, code), read_one(ask, month_before(month), code)
    end_hour = month_in(month, ask.books.policy.zone).end_hour
    hashes = document["content_hash"], before["content_hash"]
    beside = ask.unchanged(
        "beside a statement", end_hour, lambda: _beside(ask, document, before, code), month, code, *hashes
    )
    return {
        **with_budget(ask, document), "path": word_of(code), **beside, "shown": page_of(ask, beside["items"]),
        "last_month": {name: before[name] for name in ("month", "total", "status")},
        "quotas": _quotas(ask, code),
        "programmes": _programmes(ask, code), "corrected_in": _corrected_in(ask, month, code),
    }  # fmt: skip


def _beside(
    ask: Ask, document: Mapping[str, Any], before: Mapping[str, Any], code: Department
) -> dict[str, Any]:
    """What a statement comes to beside earlier ones, and its lines with their numbers."""
    items = [{**item.document, "number": item.number, "name": item.name, "section": item.section}
             for item in items_of(document)]  # fmt: skip
    return {"items": items, **_changed(document, before), "trend": _trend(ask, document, before, code)}


def _changed(document: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """By how much and by what models; what is no use (shares, corrections, taxes) stands below them. All of it comes
    to the difference."""
    found = movers(_used(before), _used(document), 0)
    beside = []
    with exact():
        for section in SECTIONS:
            was, now = (sum((Decimal(one["amount"]) for one in month[section]), NOUGHT) for month in (before, document))
            if was or now:
                beside.append({"section": section, "before": plain(was), "now": plain(now),
                               "difference": plain(now - was)})  # fmt: skip
        difference = plain(Decimal(document["total"]) - Decimal(before["total"]))
        rest = sum((one.difference for one in found[MOVERS_SHOWN:]), NOUGHT)
    return {
        "difference": difference, "movers": [one.document("model") for one in found[:MOVERS_SHOWN]],
        "movers_beside": beside,
        "movers_rest": {"count": max(0, len(found) - MOVERS_SHOWN), "difference": plain(rest)},
    }  # fmt: skip


def _used(document: Mapping[str, Any]) -> dict[tuple[Group, Thing], Used]:
    """Quantities and booked amounts by model and unit; a unit of which a part has no price counts as priced by the
    rest."""
    found: dict[tuple[Group, Thing], Used] = {}
    with exact():
        for line in document["lines"]:
            if line["price_status"] == "not_billable":
                continue
            key = line["model"], (line["provider"], line["unit"], line["price_status"])
            was = found.get(key, Used(0, None))
            cost = was.cost if line["amount"] is None else (was.cost or NOUGHT) + Decimal(line["amount"])
            found[key] = Used(was.quantity + int(line["quantity"]), cost)
    return found


def _trend(
    ask: Ask, document: Mapping[str, Any], before: Mapping[str, Any], code: Department
) -> list[dict[str, Any]]:
    """The totals of 13 months, the document's own last; None where there is no statement."""
    month, at_hand = document["month"], {one["month"]: one for one in (before, document)}
    year, number = int(month[:4]), int(month[5:])
    names = months_between(f"{year - 1:04d}-{number:02d}", month)[-TREND_MONTHS:]
    rows = ask.connection.execute(
        text("""select month, total from statement where kind = 'department' and department is not distinct from :code
                and month = any(:names)"""),
        {"code": code, "names": names},
    )
    closed = {row.month: row.total for row in rows}
    last = ask.connection.execute(text("select max(month) from period_close")).scalar()
    first_hour = first_and_last_hour(ask.connection)
    going = [name for name in names if name not in closed and (last is None or name > last)]
    kept = {} if first_hour is None else read_kept_totals(ask.connection, going, ask.books.policy, code)
    found = []
    for name in names:
        total = closed.get(name, kept.get(name))
        if total is None and first_hour is not None and name in going and name not in kept:
            one = at_hand.get(name) or read_one(ask, name, code)
            total = one["total"] if any(one[section] for section in ("lines", *SECTIONS)) else None
        found.append({"month": name, "total": total, "is_closed": last is not None and name <= last})
    return found


def _quotas(ask: Ask, code: Department) -> dict[str, Any]:
    """Of the department and of who belongs to it now, the fullest first."""
    if code is None:
        return {"count": 0, "rows": []}
    people = _people_now(ask, code)
    wanted = [
        one for one in states_of(ask)
        if (one.quota.key.scope == "department" and one.subject == code)
        or (one.quota.key.scope == "user" and one.subject in people)
    ]  # fmt: skip
    wanted.sort(key=lambda one: (one.quota.key.scope != "department", -(one.used / one.limit)))
    return {"count": len(wanted), "rows": documents_of(ask, wanted[:QUOTAS_SHOWN])}


def _people_now(ask: Ask, code: str) -> frozenset[str]:
    rows = ask.connection.execute(
        text("""select "user" from (
                  select distinct on ("user") "user", department from roster
                  where "user" is not null and valid_from <= :now and (valid_to is null or valid_to > :now)
                  order by "user", valid_from desc, id desc) latest
                where department = :code"""),
        {"now": ask.now, "code": code},
    )
    return frozenset(row.user for row in rows)


def _programmes(ask: Ask, code: Department) -> list[dict[str, Any]]:
    """Each programme in which the department has places or waits."""
    applications, zone = held_applications(ask.connection), ask.books.settings.timezone
    found = []
    for _, one in sorted(held_programmes(ask.connection).items()):
        taken = sum(1 for place in places_of(one, applications) if place.holds(ask.now) and place.department == code)
        waiting = sum(1 for wait in waiting_at(one, applications, ask.now) if wait.department == code)
        if taken or waiting:
            whole = places_document(one, applications, ask.now, zone)
            told = {name: whole[name] for name in ("programme", "name", "places", "free", "days_left")}
            found.append({**told, "taken": taken, "waiting": waiting})
    return found


def _corrected_in(ask: Ask, month: str, code: Department) -> list[dict[str, Any]]:
    """What was booked later about this month, by the month that it stands in."""
    rows = ask.connection.execute(
        text("""select e.month, e.reason, sum(l.amount)::text as amount, count(*) as lines
                from ledger_entry e join ledger_line l on l.entry_id = e.id
                where e.origin_month = :month and e.month <> e.origin_month and l.account = 'cost'
                  and l.department is not distinct from :code group by 1, 2 order by 1, 2"""),
        {"month": month, "code": code},
    )
    return [dict(row._mapping) for row in rows]


def _table(_ask: Ask, document: Document) -> Table:
    items: Sequence[Mapping[str, Any]] = document["items"]
    rows = [[item.get(name) for name in COLUMNS] for item in items]
    return Table(f"{document['month']}-{document['path']}", COLUMNS, rows, FIGURES)


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/departments/{department}", title="Department", rule=DEPARTMENT, read=read_department,
         template="department.html", table=_table, parameters=(MONTH, PAGE),
         about="A department's statement with its lines numbered, why it changed, trend, quotas, programme places. "
         "`unattributed` is use that nobody is known for."),
)  # fmt: skip
