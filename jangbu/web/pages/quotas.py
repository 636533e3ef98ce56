"""Quotas: how much is used, when a limit will be reached, every row with its dates and who brought it; editing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.alerts.quota_rules import projections_due
from billing.alerts.watching import read_profile
from billing.periods import hour_number
from billing.quotas.documents import quota_document, shown_subject
from billing.quotas.quota import COLUMNS as FILE_COLUMNS
from billing.quotas.quota import MODES, SCOPES
from billing.quotas.register import held_quotas
from billing.quotas.states import STATES, Prices, QuotaState, states_at
from billing.quotas.windows import WINDOW_KINDS
from billing.sentences import Sentence
from jangbu.errors import UsageError
from jangbu.register_imports import import_quotas
from jangbu.web.file_import import import_action
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import FINANCE_OR_PLATFORM, ORGANISATION, SCOPED
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.alerts.profile import Profile
    from jangbu.importing import Outcome

COLUMNS: Final = ("quota", "scope", "subject", "model", "unit", "window", "resets_at", "used", "limit", "remaining",
                  "percent", "projected", "exhausted_at", "state", "mode", "unknown_quantity")  # fmt: skip
FIGURES: Final = ("used", "limit", "remaining", "percent", "projected", "unknown_quantity")
_profiles: dict[str, tuple[int, Profile | None]] = {}
_reading = threading.Lock()


def read_quotas(ask: Ask) -> Document:
    """As `quota status --json`, with when each will be used up at the usual pace; the fullest first."""
    scope, state = ask.one("scope"), ask.one("state")
    for name, word, known in (("scope", scope, SCOPES), ("state", state, STATES)):
        if word is not None and word not in known:
            raise UsageError(
                Sentence(
                    "%(word)s is no %(name)s of a quota: use %(known)s",
                    word=repr(word),
                    name=name,
                    known=", ".join(known),
                )
            )
    states = [one for one in states_of(ask) if _may_see(ask, one)]
    counts = {name: sum(1 for one in states if one.state == name) for name in STATES}
    wanted = [
        one for one in states
        if scope in (None, one.quota.key.scope) and state in (None, one.state)
        and (ask.one("subject") or one.subject) == one.subject
    ]  # fmt: skip
    documents = documents_of(ask, wanted)
    return {"quotas": documents, "shown": page_of(ask, documents), "counts": counts, "scope": scope, "state": state,
            "subject": ask.one("subject"), "scopes": list(SCOPES), "states": list(STATES),
            "windows": list(WINDOW_KINDS), "modes": list(MODES), "at": ask.now}  # fmt: skip


def documents_of(ask: Ask, states: list[QuotaState]) -> list[dict[str, Any]]:
    """States as documents with their projections, the fullest first; users by pseudonym where the reader sees none."""
    projected = {
        (due.quota, due.subject): due.content
        for due in projections_due(states, _profile(ask), ask.now)
    }  # fmt: skip
    people = ask.books.people if ask.scope is None else None
    made = []
    for one in sorted(states, key=lambda one: one.used / one.limit, reverse=True):
        going = projected.get((one.quota.id, one.subject), {})
        document = {**one.document(), "projected": going.get("projected"), "exhausted_at": going.get("exhausted_at")}
        made.append(shown_subject(people, document))
    return made


def states_of(ask: Ask) -> list[QuotaState]:
    """Every quota as it stands: from memory where it is held there."""
    board = ask.books.board()
    if board is not None:
        return board.states(ask.now)
    prices = Prices(ask.book, ask.rates, ask.books.policy.zone)
    return states_at(ask.connection, held_quotas(ask.connection), prices, ask.now)


def _may_see(ask: Ask, one: QuotaState) -> bool:
    """A head sees the quotas of the own departments and of their people."""
    if ask.scope is None:
        return True
    if one.quota.key.scope == "department":
        return one.subject in ask.scope
    return one.quota.key.scope == "user" and one.subject in _own_people(ask)


def _own_people(ask: Ask) -> frozenset[str]:
    known: frozenset[str] | None = ask.__dict__.get("_own_people")
    if known is None:
        rows = ask.connection.execute(
            text("""select distinct on ("user") "user", department from roster
                    where "user" is not null and valid_from <= :now and (valid_to is null or valid_to > :now)
                    order by "user", valid_from desc, id desc"""),
            {"now": ask.now},
        )
        scope = ask.scope or frozenset()
        known = ask.__dict__["_own_people"] = frozenset(row.user for row in rows if row.department in scope)
    return known


def _profile(ask: Ask) -> Profile | None:
    """When the organisation usually works; read once an hour."""
    hour, zone = hour_number(ask.now), ask.books.policy.zone
    place = f"{ask.books.settings.data_dir} {zone}"
    with _reading:
        known = _profiles.get(place)
        if known is None or known[0] != hour:
            known = _profiles[place] = hour, read_profile(ask.connection, ask.now, zone)
        return known[1]


def read_register(ask: Ask) -> Document:
    """Every row with its dates, when it came and who brought it, the newest first."""
    rows = ask.connection.execute(
        text("select q.id, i.name, i.actor, i.imported_at from quota q join register_import i on i.id = q.import_id")
    )
    brought = {row.id: row for row in rows}
    documents = []
    for row in sorted(held_quotas(ask.connection), key=lambda row: -row.id):
        one = shown_subject(ask.books.people, quota_document(row))
        origin = brought[row.id]
        documents.append({**one, "from": origin.name, "by": origin.actor, "at": origin.imported_at})
    return {"rows": documents, "shown": page_of(ask, documents)}


def set_quota(ask: Ask, form: Form) -> Done:
    """Add one row: a new quota, another limit, an override with an end, or no limit (withdrawn)."""
    reason = form.text("reason")
    names = [*FILE_COLUMNS.required, *FILE_COLUMNS.optional]
    with ask.books.change() as connection:
        outcome = import_quotas(connection, form.as_file(names), f"page: {reason[:200]}", ask.identity)
        if outcome.has_changes:
            note(connection, ask.identity, "quota_set", form.optional("subject") or "organisation",
                 detail={"reason": reason, **{name: form.optional(name) for name in names}})  # fmt: skip
    sentence = ask.text("The quota holds as you set it.") if outcome.has_changes else ask.text("Nothing changed.")
    return Done("/quotas", sentence, outcome.result)


def _table(_ask: Ask, document: Document) -> Table:
    return Table("quotas", COLUMNS, [[one[name] for name in COLUMNS] for one in document["quotas"]], FIGURES)


def _import(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_quotas(connection, raw, name, ask.identity)


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/quotas", title="Quotas", rule=SCOPED, read=read_quotas, template="quotas.html", table=_table,
         about="What counts against each quota, what is left, when it will be used up, when it is whole again.",
         parameters=(Parameter("scope", "only one scope", SCOPES), Parameter("state", "only one state", STATES),
                     Parameter("subject", "only of one department or user"), PAGE)),
    View(path="/quotas/register", title="Rows of the register", rule=ORGANISATION, read=read_register,
         template="quota_register.html", parameters=(PAGE,),
         about="Every row, also those that were replaced, ended or withdrawn, and who brought it."),
    Action(path="/quotas/set", title="Set a quota", rule=FINANCE_OR_PLATFORM, do=set_quota,
           about="Add a row: a new limit, an override with an end, or an empty limit, which withdraws.",
           fields=(Field("scope", "whose", values=SCOPES),
                   Field("subject", "department or user; `*`: each", required=False),
                   Field("model", "empty: all", required=False), Field("unit", "a unit, tokens, or a currency"),
                   Field("limit", "empty: withdrawn", required=False), Field("window", "", values=WINDOW_KINDS),
                   Field("thresholds", "percent, between semicolons", required=False),
                   Field("notify", "addresses, between semicolons", required=False),
                   Field("mode", "", required=False, values=MODES), Field("valid_from", "an instant", required=False),
                   Field("valid_to", "an instant", required=False), Field("reason", "why; it is kept"))),
    import_action("/quotas/import", "Import quotas", FINANCE_OR_PLATFORM, "/quotas", _import,
                  "A CSV file of quotas; it is shown before it is written."),
)  # fmt: skip
