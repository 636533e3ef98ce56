"""Alerts: what was due, who was told, silences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

from billing.alerts.alert import Alert, Kind, Severity
from billing.alerts.deliveries import read_deliveries, send_again
from billing.alerts.documents import alert_document, delivery_document
from billing.alerts.messages import subject_of
from billing.alerts.register import Wanted, read_alerts
from billing.alerts.silences import add_silence, lift_silence, read_silences
from billing.sentences import Sentence
from jangbu.errors import NotFoundError, UsageError
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import FINANCE_OR_PLATFORM, SCOPED
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
COLUMNS: Final = ("alert", "recorded_at", "kind", "severity", "scope", "subject", "department", "sentence")
DELIVERIES_MAX: Final = 200


def read_alert_list(ask: Ask) -> Document:
    """Alerts, the newest first; a head sees those of the own departments and their people."""
    kind, severity = ask.one("kind"), ask.one("severity")
    if kind is not None and kind not in KINDS:
        raise UsageError(
            Sentence("%(kind)s is no kind of alert: use %(known)s", kind=repr(kind), known=", ".join(KINDS))
        )
    if severity is not None and severity not in SEVERITIES:
        raise UsageError(
            Sentence("%(severity)s is no severity: use %(known)s", severity=repr(severity), known=", ".join(SEVERITIES))
        )
    wanted = Wanted(0, kind, severity, ask.one("department"), None, None)
    found = [one for one in reversed(read_alerts(ask.connection, wanted)) if may_see_alert(ask, one)]
    shown = page_of(ask, found)
    shown["rows"] = [shown_alert(ask, one) for one in shown["rows"]]
    silences = [one for one in read_silences(ask.connection) if one.holds(ask.now)]
    waiting = [] if ask.scope is not None else read_deliveries(ask.connection, "dead")[:DELIVERIES_MAX]
    return {
        "alerts": shown["rows"], "shown": shown, "kinds": list(KINDS), "severities": list(SEVERITIES), "kind": kind,
        "severity": severity, "department": ask.one("department"),
        "silences": [one._asdict() for one in silences if ask.scope is None or one.department in ask.scope],
        "dead": [delivery_document(one) for one in waiting],
    }  # fmt: skip


def read_alert(ask: Ask) -> Document:
    """One alert with its deliveries."""
    number = ask.path["alert"]
    found = read_alerts(ask.connection, ids=[int(number)]) if number.isascii() and number.isdigit() else []
    if not found or not may_see_alert(ask, found[0]):
        raise NotFoundError(
            Sentence("there is no alert %(number)s that you may see: look at the list of alerts", number=repr(number))
        )
    deliveries = [delivery_document(one) for one in read_deliveries(ask.connection, None, found[0].id)]
    for one in deliveries:
        if ask.scope is not None:
            one["recipient"] = None
    return {**shown_alert(ask, found[0]), "deliveries": deliveries}


def may_see_alert(ask: Ask, one: Alert) -> bool:
    """Whether an alert is the reader's business: all of them, or the own departments'."""
    scope = ask.scope
    if scope is None:
        return True
    return one.department in scope or (one.scope == "department" and one.subject in scope)


def shown_alert(ask: Ask, one: Alert) -> dict[str, Any]:
    """An alert as the reader may see it."""
    people = ask.books.people if ask.scope is None else None
    if people is not None and one.scope == "user":
        one = one._replace(subject=people.of("user", one.subject))
        people = None
    document = alert_document(one, people)
    document["sentence"] = subject_of(one, "ko" if ask.wording.language == "ko" else "en")
    return document


def _table(_ask: Ask, document: Document) -> Table:
    return Table("alerts", COLUMNS, [[one[name] for name in COLUMNS] for one in document["alerts"]], ("alert",))


def silence(ask: Ask, form: Form) -> Done:
    """Let nobody be told of some alerts until an instant of the organisation's zone."""
    told = form.text("until")
    try:
        until = datetime.fromisoformat(told)
    except ValueError:
        raise UsageError(Sentence("%(told)s is no moment: write it as 2026-10-03T09:00", told=repr(told))) from None
    if until.tzinfo is None:
        until = until.replace(tzinfo=ZoneInfo(ask.books.settings.timezone))
    kind = form.optional("kind")
    if kind is not None and kind not in KINDS:
        raise UsageError(
            Sentence("%(kind)s is no kind of alert: use %(known)s", kind=repr(kind), known=", ".join(KINDS))
        )
    with ask.books.change() as connection:
        made = add_silence(
            connection, kind=kind, quota=None, department=form.optional("department"), until=until.astimezone(UTC),
            reason=form.text("reason"), actor=ask.identity, moment=ask.now,
        )  # fmt: skip
    return Done("/alerts", ask.text("Silence %(number)s holds.", number=made), {"silence": made})


def lift(ask: Ask, form: Form) -> Done:
    """End a silence."""
    number = form.text("silence")
    if not number.isascii() or not number.isdigit():
        raise UsageError(Sentence("%(number)s is no silence: the list has their numbers", number=repr(number)))
    with ask.books.change() as connection:
        lift_silence(connection, int(number), reason=form.text("reason"), actor=ask.identity)
    return Done("/alerts", ask.text("Silence %(number)s is lifted.", number=number), {"lifts": int(number)})


def resend(ask: Ask, form: Form) -> Done:
    """Let deliveries that were given up be tried again, under their ids."""
    named = form.many("delivery")
    with ask.books.change() as connection:
        again = send_again(connection, named or None)
        note(connection, ask.identity, "resend", "alert deliveries", detail={"deliveries": again[:100]})
    return Done("/alerts", ask.text("%(count)s deliveries are tried again.", count=len(again)), {"again": again})


REGISTERED: Final[tuple[Registered, ...]] = (
    View(
        path="/alerts", title="Alerts", rule=SCOPED, read=read_alert_list, template="alerts.html", table=_table,
        about="What was due, each once, the newest first; silences, and deliveries that were given up.",
        parameters=(
            Parameter("kind", "only one kind", KINDS), Parameter("severity", "only those that grave", SEVERITIES),
            Parameter("department", "only a department's"), PAGE,
        ),
    ),
    View(path="/alerts/{alert}", title="Alert", rule=SCOPED, read=read_alert, template="alert.html",
         about="One alert and whom it was told to."),
    Action(path="/alerts/silence", title="Silence alerts", rule=FINANCE_OR_PLATFORM, do=silence,
           about="Let nobody be told of a kind or a department's alerts for a while; they are kept all the same.",
           fields=(Field("kind", "a kind", required=False, values=KINDS),
                   Field("department", "a department", required=False), Field("until", "until when, local time"),
                   Field("reason", "why; it is kept"))),
    Action(path="/alerts/lift", title="Lift a silence", rule=FINANCE_OR_PLATFORM, do=lift,
           fields=(Field("silence", "its number"), Field("reason", "why; it is kept"))),
    Action(path="/alerts/resend", title="Send again", rule=FINANCE_OR_PLATFORM, do=resend,
           about="Deliveries that were given up are tried again, all or those named.",
           fields=(Field("delivery", "ids", "many", required=False),)),
)  # fmt: skip
