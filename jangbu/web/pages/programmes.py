"""Programmes (pilots): places taken and free, who waits at which number, use against the budget, rules."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.plans.registers import lock_registers
from billing.programmes.documents import places_document, programme_people, programme_status
from billing.programmes.programme import PROGRAMME_COLUMNS, Application, state_on
from billing.programmes.register import held_applications, held_programmes
from billing.quotas.states import Prices
from billing.sentences import Sentence
from jangbu.errors import NotFoundError, RefusedByStateError, UsageError
from jangbu.register_imports import import_applications, import_programmes
from jangbu.web.file_import import import_action
from jangbu.web.pages.own_places import department_of, programme_named, standing_of, write
from jangbu.web.pages.pledges import today_of
from jangbu.web.pages.programme_pace import pace
from jangbu.web.paging import PAGE, page_of
from jangbu.web.paths import path_part
from jangbu.web.rights import FINANCE_OR_PLATFORM, SCOPED
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Registered, Table, View

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jangbu.importing import Outcome

COLUMNS: Final = (
    "programme", "name", "starts_on", "ends_on", "state", "places", "taken", "free", "waiting", "days_left", "budget",
    "currency",
)  # fmt: skip
PEOPLE: Final = ("user", "department", "state", "number", "since")


def read_programmes(ask: Ask) -> Document:
    """Every programme with its places; what was used stands on its own page."""
    applications = held_applications(ask.connection)
    zone = ask.books.settings.timezone
    found = sorted(held_programmes(ask.connection).items())
    return {"programmes": [places_document(one, applications, ask.now, zone) for _, one in found]}


def read_programme(ask: Ask) -> Document:
    """As `programme status --json`, with its people: a head sees the own departments' by name."""
    name = ask.path["programme"]
    one = held_programmes(ask.connection).get(name)
    if one is None:
        raise NotFoundError(Sentence("there is no programme %(name)s: look at the list of programmes", name=repr(name)))
    applications = held_applications(ask.connection)
    prices = Prices(ask.book, ask.rates, ask.books.policy.zone)
    people = programme_people(one, applications, ask.now, ask.books.people if ask.scope is None else None)
    scope = ask.scope
    seen = [row for row in people if scope is None or row["department"] in scope]
    status = ask.kept(
        "programme", lambda later: programme_status(later.connection, one, applications, prices, later.now), name
    )
    going = pace(Decimal(status["used"]), one.budget, one.starts_on, one.ends_on, today_of(ask))
    return {**status, **going, "people": seen, "shown": page_of(ask, seen)}


def set_programme(ask: Ask, form: Form) -> Done:
    """Add one row: a new programme, or one with other days, places, budget, models or rules."""
    reason, code = form.text("reason"), form.text("programme")
    names = [*PROGRAMME_COLUMNS.required, *PROGRAMME_COLUMNS.optional]
    with ask.books.change() as connection:
        outcome = import_programmes(
            connection, form.as_file(names), f"page: {reason[:200]}", ask.identity, ask.books.policy.currency
        )
        if outcome.has_changes:
            note(connection, ask.identity, "programme_set", code,
                 detail={"reason": reason, **{name: form.optional(name) for name in names}})  # fmt: skip
    sentence = ask.text("The programme is as you set it.") if outcome.has_changes else ask.text("Nothing changed.")
    return Done(f"/programmes/{path_part(code)}", sentence, outcome.result)


def set_place(ask: Ask, form: Form) -> Done:
    """Apply for somebody, or take a place or a wish away, from now on. Who gets a place follows from the rows."""
    reason, code, user, what = (form.text(name) for name in ("reason", "programme", "user", "what"))
    with ask.books.change() as connection:
        lock_registers(connection)
        programme = programme_named(connection, code)
        standing = standing_of(connection, code, user)
        if what == "leave":
            if not standing:
                told = Sentence("%(user)s has no place in programme %(name)s and waits for none", user=user, name=code)
                raise RefusedByStateError(told)
            rows = [one._replace(left_at=max(ask.now, one.applied_at)) for one in standing]
        else:
            if state_on(programme, today_of(ask)) == "ended":
                raise RefusedByStateError(Sentence("programme %(name)s has ended: choose another", name=repr(code)))
            if standing:
                told = Sentence("%(user)s has applied for programme %(name)s already", user=user, name=code)
                raise RefusedByStateError(told)
            department = form.optional("department") or department_of(connection, user, ask.now)
            if department is None:
                raise UsageError(Sentence("the roster names no department of %(user)s: name it", user=user))
            rows = [Application(code, user, department, ask.now, None)]
        write(ask, connection, rows, f"page: {reason[:200]}")
        note(connection, ask.identity, f"programme_place_{what}", code, detail={"user": user, "reason": reason})
    return Done(f"/programmes/{path_part(code)}", ask.text("The places are as you set them."), {"programme": code})


def _table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in COLUMNS] for one in document["programmes"]]
    return Table("programmes", COLUMNS, rows, ("places", "taken", "free", "waiting", "days_left", "budget"))


def _people_table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in PEOPLE] for one in document["people"]]
    return Table("programme-people", PEOPLE, rows, ("number",))


def _programmes(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_programmes(connection, raw, name, ask.identity, ask.books.policy.currency)


def _applications(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_applications(connection, raw, name, ask.identity)


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/programmes", title="Programmes", rule=SCOPED, read=read_programmes, template="programmes.html",
         table=_table, about="Every programme with its places, and who waits."),
    import_action("/programmes/import", "Import programmes", FINANCE_OR_PLATFORM, "/programmes", _programmes,
                  "A CSV file of programmes; a later row takes the earlier one's place."),
    import_action("/programmes/applications", "Import applications", FINANCE_OR_PLATFORM, "/programmes", _applications,
                  "A CSV file of applications for places, and of who left."),
    Action(path="/programmes/set", title="Set a programme", rule=FINANCE_OR_PLATFORM, do=set_programme,
           about="Add a row: a new programme, or other days, places, budget, models or rules of one.",
           fields=(*(Field(name, "as in a file of programmes") for name in PROGRAMME_COLUMNS.required),
                   *(Field(name, "as in a file of programmes", required=False) for name in PROGRAMME_COLUMNS.optional),
                   Field("reason", "why; it is kept"))),
    Action(path="/programmes/places/set", title="Give or take a place", rule=FINANCE_OR_PLATFORM, do=set_place,
           about="Apply for somebody, or take a place or a wish away, from now on.",
           fields=(Field("programme", "its code"), Field("user", "the gateway's user id"),
                   Field("what", "", values=("apply", "leave")),
                   Field("department", "empty: the roster's", required=False), Field("reason", "why; it is kept"))),
    View(path="/programmes/{programme:path}", title="Programme", rule=SCOPED, read=read_programme,
         template="programme.html", table=_people_table, parameters=(PAGE,),
         about="Places, people, who waits, and use against the budget."),
)  # fmt: skip
