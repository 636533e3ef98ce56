"""A break with its evidence and history, decisions about one or many, letters and bridges as files, names of meters."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.breaks.deciding import Asked, decide
from billing.breaks.documents import decided_document, item_document
from billing.breaks.identity import parse_name
from billing.breaks.states import person_of, refusal
from billing.breaks.worklist import NoSuchBreak, Wanted, read_items
from billing.reconciliation.name_rules import COLUMNS, add_rules, read_rules, read_rules_file
from billing.sentences import Sentence
from jangbu.errors import NotFoundError, UsageError
from jangbu.month_letters import bridge_file, dispute_files
from jangbu.web.paging import PAGE, page_of
from jangbu.web.paths import name_of, name_part, path_part
from jangbu.web.rights import FINANCE, FINANCE_OR_PLATFORM, ORGANISATION
from jangbu.web.signin.trail import note
from jangbu.web.views import (
    Action,
    Ask,
    Document,
    Done,
    Download,
    Field,
    File,
    Form,
    Parameter,
    Registered,
    Table,
    View,
)

if TYPE_CHECKING:
    from billing.breaks.identity import BreakName
    from billing.breaks.states import Action as BreakAction
    from billing.breaks.worklist import WorkItem

DECISIONS: Final[tuple[BreakAction, ...]] = (
    "accept", "dispute", "resolve", "writeoff", "confirm", "reopen",
)  # fmt: skip
NOTES: Final[tuple[BreakAction, ...]] = ("assign", "comment")
RULE_COLUMNS: Final = (*COLUMNS.required, *COLUMNS.optional)
NAMES_OFFERED_MAX: Final = 500
BREAKS_FIELD: Final = Field("breaks", "each break's name, `@` and the number of its history as it was seen", "many")
LETTERS: Final = ("pdf", "csv", "xlsx")
BRIDGES: Final = ("xlsx", "pdf")


def read_break(ask: Ask) -> Document:
    """One break: both sides, every day's evidence, hints, history, what may be done by whom. Raises NotFoundError."""
    try:
        (item,) = read_items(ask.connection, Wanted(), [parse_name(ask.path["name"])])
    except NoSuchBreak as error:
        raise NotFoundError(str(error)) from error
    document = item_document(item, with_history=True)
    proposer = next((row.actor for row in reversed(item.history) if row.action == "propose"), None)
    is_pending = item.proposed is not None
    return {
        **document, "place": item.place, "hints": _hints(ask, item), "proposer": proposer if is_pending else None,
        "may": [action for action in DECISIONS if _fits(item, action, is_pending=is_pending)],
        "is_certain": ask.person is not None and person_of(ask.identity) is not None,
        "is_proposer": is_pending and ask.identity == proposer,
        "name_rule": _name_rule(ask, item) if item.cls == "UNKNOWN_MODEL" else None,
        "limit": ask.books.settings.writeoff_limit, "limit_currency": ask.books.policy.currency,
    }  # fmt: skip


def _fits(item: WorkItem, action: BreakAction, *, is_pending: bool) -> bool:
    is_changed = item.state != "open" and bool(item.difference)
    return refusal(action, item.state, is_changed=is_changed, is_pending=is_pending) is None


def _hints(ask: Ask, item: WorkItem) -> Document:
    """On which level it was compared, which other causes fit as well, and what the reconciliation proposes."""
    rows = ask.connection.execute(
        text("""select match_level as level, may_be, proposal from reconciliation_break b
                where reconciliation_id = (select id from reconciliation where vendor = :vendor and month = :month
                                           and currency = :currency order by id desc limit 1)
                  and class = :cls and b.key - 'day' = cast(:key as jsonb)"""),
        {"vendor": item.vendor, "month": item.month, "currency": item.currency, "cls": item.cls,
         "key": json.dumps(dict(item.key))},
    ).all()  # fmt: skip
    return {
        "levels": sorted({str(row.level) for row in rows if row.level is not None}),
        "may_be": sorted({cls for row in rows for cls in row.may_be or ()}),
        "proposals": sorted({row.proposal for row in rows if row.proposal}),
    }


def _name_rule(ask: Ask, item: WorkItem) -> Document:
    """What the form of a name rule begins with: the vendor's words, and the models and units that are known."""
    models = ask.connection.execute(
        text("select distinct model from route order by model limit :limit"), {"limit": NAMES_OFFERED_MAX}
    )
    days = [part.day.isoformat() for part in item.parts]
    return {
        "text": item.key.get("model") or item.key.get("item") or "", "unit": item.key.get("unit"),
        "models": [name for name in models.scalars() if name], "valid_from": f"{min(days)[:7]}-01" if days else None,
    }  # fmt: skip


def decide_breaks(ask: Ask, form: Form) -> Done:
    """Decide about all the breaks that were ticked, or none."""
    return _decide(ask, form, DECISIONS)


def note_breaks(ask: Ask, form: Form) -> Done:
    """Assign breaks or comment on them; their state stays."""
    return _decide(ask, form, NOTES)


def _decide(ask: Ask, form: Form, actions: tuple[BreakAction, ...]) -> Done:
    action = next((one for one in actions if one == form.text("action")), None)
    if action is None:
        raise UsageError(
            Sentence(
                "the action is %(action)s: use one of %(known)s",
                action=repr(form.text("action")),
                known=", ".join(actions),
            )
        )
    seen = dict(_seen(word) for word in form.many("breaks"))
    if not seen:
        raise UsageError(Sentence("no break is ticked: tick those that are meant and send again"))
    with ask.books.change() as connection:
        try:
            items = read_items(connection, Wanted(), seen)
        except NoSuchBreak as error:
            raise NotFoundError(str(error)) from error
        asked = Asked(
            action, form.text("reason"), ask.identity, tuple(seen), owner=form.optional("owner"),
            limit=ask.books.settings.writeoff_limit, currency=ask.books.policy.currency,
            seen={item.at: _place_of(seen, item) for item in items},
        )  # fmt: skip
        done = decide(connection, asked)
    document = {"action": action, "reason": asked.reason, "actor": asked.actor,
                "breaks": [decided_document(one) for one in done]}  # fmt: skip
    first = items[0]
    going = f"/reconciliation/{name_part(first.vendor)}/{first.month}"
    if form.optional("from") == "break" and len(items) == 1:
        going = f"/reconciliation/breaks/{first.name}"
    waiting = sum(one.action == "propose" for one in done)
    if waiting:
        return Done(going, ask.text("%(count)s write-offs wait for a second person.", count=waiting), document)
    return Done(going, ask.text("Written for %(count)s breaks.", count=len(done)), document)


def _seen(word: str) -> tuple[BreakName, int]:
    """`2026-10-1f2e3d4c5b@3`: a break and how many rows its history had when the person looked."""
    name, sign, place = word.rpartition("@")
    if not sign or not (place.isascii() and place.isdigit()) or len(place) > 9:
        raise UsageError(
            Sentence(
                "%(word)s is no break as it was seen: write NAME@NUMBER, such as 2026-10-1f2e3d4c5b@0",
                word=repr(word[:100]),
            )
        )
    return parse_name(name), int(place)


def _place_of(seen: dict[BreakName, int], item: WorkItem) -> int:
    return next(place for name, place in seen.items()
                if name.month == item.month and item.fingerprint.startswith(name.digits))  # fmt: skip


def make_letter(ask: Ask) -> File:
    """The dispute letter or its table."""
    form = _form_of(ask, LETTERS)
    vendor, month = name_of(ask.path["vendor"]), ask.month()
    files = dispute_files(ask.connection, vendor, month, ask.books.settings.organisation, _language(ask)).files
    name = next(one for one in files if one.endswith(f".{form}"))
    return File(name, files[name], _MEDIA[form])


def make_bridge(ask: Ask) -> File:
    """The bridge as a workbook or a page."""
    form = _form_of(ask, BRIDGES)
    vendor, month = name_of(ask.path["vendor"]), ask.month()
    content, _ = bridge_file(ask.connection, vendor, month, ask.books.settings.organisation, _language(ask), form)
    return File(f"bridge-{vendor}-{month}.{form}", content, _MEDIA[form])


_MEDIA: Final = {
    "pdf": "application/pdf", "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip


def _form_of(ask: Ask, forms: tuple[str, ...]) -> str:
    form = ask.one("form", forms[0]) or forms[0]
    if form not in forms:
        raise UsageError(
            Sentence("%(form)s is none of %(known)s: use one of them", form=repr(form), known=", ".join(forms))
        )
    return form


def _language(ask: Ask) -> Any:
    return "ko" if ask.wording.language == "ko" else "en"


def read_names(ask: Ask) -> Document:
    """The dated rules that count."""
    rules = read_rules(ask.connection, ask.one("vendor"))
    rows = [{name: getattr(rule, name) for name in RULE_COLUMNS} for rule in rules]
    return {"rules": rows, "shown": page_of(ask, rows), "vendor": ask.one("vendor")}


def add_name_rule(ask: Ask, form: Form) -> Done:
    """Say from a day on what a vendor's name means; the next reconciliation goes by it."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\n")
    writer.writerow(RULE_COLUMNS)
    writer.writerow([form.optional(name) or "" for name in RULE_COLUMNS])
    rules = read_rules_file(told.getvalue().encode(), "page")
    with ask.books.change() as connection:
        changed = add_rules(connection, rules, ask.identity)
        if changed:
            note(connection, ask.identity, "name_rule", rules[0].vendor, detail=dict.fromkeys(RULE_COLUMNS) | {
                name: form.optional(name) for name in RULE_COLUMNS})  # fmt: skip
    month = form.optional("month")
    vendor = rules[0].vendor
    going = (
        f"/reconciliation/{name_part(vendor)}/{path_part(month)}" if month
        else f"/reconciliation/names?vendor={path_part(vendor)}"
    )  # fmt: skip
    told_now = ask.text("The rule holds: reconcile the month again.") if changed else ask.text("Nothing changed.")
    return Done(going, told_now, {"added": len(changed), "rules": [form.optional("text")]})


def _names_table(_ask: Ask, document: Document) -> Table:
    return Table("name-rules", RULE_COLUMNS, [[one[name] for name in RULE_COLUMNS] for one in document["rules"]])


_REASON: Final = Field("reason", "why; kept with who and when")
REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/reconciliation/names", title="What vendors' names mean", rule=ORGANISATION, read=read_names,
         template="vendor_names.html", table=_names_table, parameters=(Parameter("vendor", "of one vendor"), PAGE),
         about="Dated rules by which a vendor's models and meters are ours."),
    View(path="/reconciliation/breaks/{name}", title="A break", rule=ORGANISATION, read=read_break,
         template="break.html", about="One difference: what it is about, its evidence, history and what may be done."),
    Action(path="/reconciliation/decide", title="Decide about breaks", rule=FINANCE, do=decide_breaks,
           about="All of them or none; one that was decided about since it was seen refuses them all.",
           fields=(BREAKS_FIELD, Field("action", "what is decided", values=DECISIONS), _REASON,
                   Field("from", "`break`: go on at the break's page", required=False))),
    Action(path="/reconciliation/note", title="Assign or comment breaks", rule=FINANCE_OR_PLATFORM, do=note_breaks,
           about="Who works on them, or a word about them; their state stays.",
           fields=(BREAKS_FIELD, Field("action", "what is noted", values=NOTES), _REASON,
                   Field("owner", "who works on it, with `assign`", required=False),
                   Field("from", "`break`: go on at the break's page", required=False))),
    Action(path="/reconciliation/names/add", title="Say what a name means", rule=FINANCE, do=add_name_rule,
           about="A dated rule for a vendor's model or meter; a star at the end takes all that begins so.",
           fields=(Field("vendor", "who bills"), Field("text", "the vendor's word"),
                   Field("model", "our model", required=False), Field("unit", "our unit", required=False),
                   Field("valid_from", "first day", required=False), Field("valid_to", "end day", required=False),
                   Field("month", "go on at this month", required=False))),
    Download(path="/reconciliation/{vendor}/{month}/dispute", title="Dispute letter", rule=ORGANISATION,
             make=make_letter, parameters=(Parameter("form", "letter or table", LETTERS),),
             about="What is disputed with a vendor, without users, departments or keys."),
    Download(path="/reconciliation/{vendor}/{month}/bridge", title="Bridge", rule=ORGANISATION, make=make_bridge,
             parameters=(Parameter("form", "workbook or page", BRIDGES),),
             about="Ours, each class of break, the invoice, with a chart."),
)  # fmt: skip
