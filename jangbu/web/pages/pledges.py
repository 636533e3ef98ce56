"""Pledges: who has signed which version, who has not, files of signatures."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.periods import load_zone
from billing.pledges.documents import pledges_document
from billing.pledges.pledge import STATES, PledgeRules
from billing.pledges.register import signatures_by_user
from billing.sentences import Sentence
from jangbu.errors import UsageError
from jangbu.register_imports import import_signatures
from jangbu.web.file_import import import_action
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import FINANCE_OR_PLATFORM, SCOPED
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jangbu.importing import Outcome

COLUMNS: Final = ("user", "department", "state", "version", "signed_on", "ends_on")


def rules_of(ask: Ask) -> PledgeRules:
    """What the organisation asks for."""
    settings = ask.books.settings
    return PledgeRules(settings.pledge_version, settings.pledge_valid_days)


def today_of(ask: Ask) -> date:
    """The organisation's day."""
    return ask.now.astimezone(load_zone(ask.books.settings.timezone)).date()


def read_pledges(ask: Ask) -> Document:
    """As `pledge list --json`, with departments and places where to sign."""
    states = ask.many("state") or list(STATES)
    if unknown := set(states) - set(STATES):
        raise UsageError(
            Sentence("%(state)s is no state: use %(known)s", state=repr(min(unknown)), known=", ".join(STATES))
        )
    asked = ask.one("department")
    departments = ask.scope
    if asked is not None:
        departments = frozenset({asked}) if departments is None or asked in departments else frozenset()
    # A head knows the own people by name; whoever sees all departments sees pseudonyms where the settings ask for them.
    people = ask.books.people if ask.scope is None else None
    day = _day(ask)

    def compute() -> Document:
        found = pledges_document(
            ask.connection, rules_of(ask), ask.books.settings.timezone, day, departments=departments, states=states,
            people=people,
        )  # fmt: skip
        # As for gateways (billing.quotas.access): where no register holds a signature nobody is asked for one.
        return {**found, "is_asked": found["version"] is not None or bool(signatures_by_user(ask.connection))}

    # The roster is an input, so that its changes are seen at once; signatures are told by their last row.
    last = ask.connection.execute(text("select max(id) from pledge")).scalar()
    document = ask.of_inputs("pledges", compute, day, departments, tuple(states), people is None, last)
    return {**document, "sign_at": ask.books.settings.pledge_url, "states": list(STATES), "department": asked,
            "chosen": ask.many("state"), "shown": page_of(ask, document["people"])}  # fmt: skip


def _day(ask: Ask) -> date:
    asked = ask.one("at")
    if asked is None:
        return today_of(ask)
    try:
        return datetime.strptime(asked, "%Y-%m-%d").date()  # noqa: DTZ007 - a day of the organisation has no zone
    except ValueError:
        raise UsageError(Sentence("%(asked)s is no day: write it as YYYY-MM-DD", asked=repr(asked))) from None


def _table(_ask: Ask, document: Document) -> Table:
    return Table("pledges", COLUMNS, [[one[name] for name in COLUMNS] for one in document["people"]])


def _import(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_signatures(connection, raw, name, ask.identity, today_of(ask))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(
        path="/pledges", title="Pledges", rule=SCOPED, read=read_pledges, template="pledges.html", table=_table,
        about="Everybody whom the roster knows, with the signature that decides.",
        parameters=(
            Parameter("state", "only some states", STATES, many=True),
            Parameter("department", "only a department's people"),
            Parameter("at", "on a day, YYYY-MM-DD"),
            PAGE,
        ),
    ),
    import_action("/pledges/import", "Import signatures", FINANCE_OR_PLATFORM, "/pledges", _import,
                  "A CSV file of signatures: user, version, signed_on, expires_on."),
)  # fmt: skip
