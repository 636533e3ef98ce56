"""One's own places in programmes: what one has or waits for, what one may apply for, applying and leaving.

An application is a row of the register as `jangbu programme apply FILE` adds it; who gets a place when follows from the
rows (billing.programmes.places), so that nobody is let in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.plans.registers import lock_registers
from billing.programmes.documents import programme_document
from billing.programmes.places import places_of, waiting_at
from billing.programmes.programme import Application, state_on
from billing.programmes.register import held_applications, held_programmes, write_applications
from billing.sentences import Sentence
from billing.store import sha256_of
from jangbu.errors import NotFoundError, RefusedByStateError, UsageError
from jangbu.web.pages.pledges import today_of
from jangbu.web.rights import SIGNED_IN
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Done, Field, Form, Registered

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.programmes.programme import Programme

NO_USER: Final = Sentence("this sign-in has no user id of the gateway: ask the platform team to set it")
SHOWN: Final = ("programme", "name", "starts_on", "ends_on", "models", "rules_version", "rules", "places")
"""What everybody may know of a programme; what it costs and who is in it is not among it."""


def user_of(ask: Ask) -> str:
    """The id that the person's usage events carry. Raises NotFoundError for who has none."""
    if ask.person is None or ask.person.user is None:
        raise NotFoundError(NO_USER)
    return ask.person.user


def department_of(connection: Connection, user: str, moment: datetime) -> str | None:
    """The person's department by the roster."""
    found = connection.execute(
        text("""select department from roster where "user" = :user and valid_from <= :now
                  and (valid_to is null or valid_to > :now) order by valid_from desc, id desc limit 1"""),
        {"user": user, "now": moment},
    ).scalar()
    return None if found is None else str(found)


def read_places(ask: Ask, user: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The programmes in which the person has a place or waits for one, and the others that have not ended."""
    applications, today = held_applications(ask.connection), today_of(ask)
    own, others = [], []
    for one in held_programmes(ask.connection).values():
        if state_on(one, today) == "ended":
            continue
        document = programme_document(one, today)
        places = [place for place in places_of(one, applications) if place.holds(ask.now)]
        waiting = waiting_at(one, applications, ask.now)
        place = next((place for place in places if place.user == user), None)
        wait = next((wait for wait in waiting if wait.user == user), None)
        if place is None and wait is None:
            shown = {name: document[name] for name in SHOWN}
            others.append({**shown, "free": max(0, one.places - len(places)), "waiting": len(waiting)})
        else:
            since, number = (None if place is None else place.since), (None if wait is None else wait.number)
            own.append({**document, "since": since, "number": number})
    return own, others


def apply(ask: Ask, form: Form) -> Done:
    """Apply for a place from now on, for oneself."""
    user, code = user_of(ask), form.text("programme")
    with ask.books.change() as connection:
        lock_registers(connection)
        programme = programme_named(connection, code)
        if state_on(programme, today_of(ask)) == "ended":
            raise RefusedByStateError(Sentence("programme %(name)s has ended: choose another", name=repr(code)))
        if standing_of(connection, code, user):
            said = Sentence("you have applied for programme %(name)s already: your page shows it", name=repr(code))
            raise RefusedByStateError(said)
        if programme.rules and not form.flag("agreed"):
            raise UsageError(Sentence("tick that you have read the programme's rules, and send again"))
        department = department_of(connection, user, ask.now)
        if department is None:
            raise RefusedByStateError(Sentence("the roster names no department of yours: ask the platform team"))
        write(ask, connection, [Application(code, user, department, ask.now, None)])
        note(connection, ask.identity, "programme_applied", code, detail={"user": user})
    return Done("/me", ask.text("You have applied for %(name)s.", name=programme.name), {"programme": code})


def leave(ask: Ask, form: Form) -> Done:
    """Give up the own place, or the wish for one, from now on."""
    user, code = user_of(ask), form.text("programme")
    with ask.books.change() as connection:
        lock_registers(connection)
        programme = programme_named(connection, code)
        standing = standing_of(connection, code, user)
        if not standing:
            raise RefusedByStateError(
                Sentence("you have no place in programme %(name)s and wait for none", name=repr(code))
            )
        left_at = ask.now
        write(ask, connection, [one._replace(left_at=max(left_at, one.applied_at)) for one in standing])
        note(connection, ask.identity, "programme_left", code, detail={"user": user})
    return Done("/me", ask.text("You have left %(name)s.", name=programme.name), {"programme": code})


def programme_named(connection: Connection, code: str) -> Programme:
    """The programme of a code. Raises NotFoundError."""
    found = held_programmes(connection).get(code)
    if found is None:
        raise NotFoundError(
            Sentence("there is no programme %(name)s: look at the list of programmes", name=repr(code[:128]))
        )
    return found


def standing_of(connection: Connection, code: str, user: str) -> list[Application]:
    """The person's applications that were not left."""
    held = held_applications(connection)
    return [one for one in held if (one.programme, one.user, one.left_at) == (code, user, None)]


def write(ask: Ask, connection: Connection, rows: list[Application], name: str = "page: /me") -> None:
    """Add rows to the register; `name`: where they come from."""
    content = "\n".join(f"{one.programme}\n{one.user}\n{one.applied_at}\n{one.left_at}" for one in rows).encode()
    write_applications(connection, rows, name=name, sha256=sha256_of(content), actor=ask.identity)


_PROGRAMME: Final = Field("programme", "its code")
REGISTERED: Final[tuple[Registered, ...]] = (
    Action(path="/me/programmes/apply", title="Apply for a place", rule=SIGNED_IN, do=apply,
           about="Apply for a place in a programme, for oneself, from now on; who gets one follows from the register.",
           fields=(_PROGRAMME, Field("agreed", "the programme's rules were read", "flag", required=False))),
    Action(path="/me/programmes/leave", title="Leave a programme", rule=SIGNED_IN, do=leave,
           about="Give up the own place in a programme, or the wish for one.", fields=(_PROGRAMME,)),
)  # fmt: skip
