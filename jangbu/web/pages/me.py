"""An employee's own page: what I used, what is left, which models, the pledge and how to sign it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.money import exact, plain
from billing.periods import month_in
from billing.plans.registers import lock_registers
from billing.pledges.documents import person_document
from billing.pledges.pledge import Signature, new_rows, state_of
from billing.pledges.register import held_signatures, signatures_by_user, write_signatures
from billing.programmes.documents import programme_document
from billing.programmes.places import places_of, waiting_at
from billing.programmes.programme import state_on
from billing.programmes.register import held_applications, held_programmes
from billing.sentences import Sentence
from billing.store import sha256_of
from billing.usage import own_usage
from jangbu.errors import NotFoundError, RefusedByStateError, UsageError
from jangbu.web.pages.own_quotas import own_quotas
from jangbu.web.pages.pledges import rules_of, today_of
from jangbu.web.rights import SIGNED_IN
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from billing.usage import UsageRow

COLUMNS: Final = ("provider", "model", "unit", "quantity", "cost", "currency", "price_status")
BY: Final = ("provider", "model", "unit")


def user_of(ask: Ask) -> str:
    """The id that the person's usage events carry. Raises NotFoundError for who has none."""
    if ask.person is None or ask.person.user is None:
        raise NotFoundError(Sentence("this sign-in has no user id of the gateway: ask the platform team to set it"))
    return ask.person.user


def read_me(ask: Ask) -> Document:
    """A month's own use by model, quotas, programmes, and the pledge."""
    user = user_of(ask)
    month = ask.month()
    rows = own_usage(ask.connection, month_in(month, ask.books.settings.timezone), ask.book, user)
    department = _department(ask, user)
    signed = signatures_by_user(ask.connection).get(user, ())
    pledge = state_of(user, signed, rules_of(ask), today_of(ask))
    return {
        "user": user,
        "department": department,
        "month": month,
        "rows": [row.document(BY) for row in rows],
        "models": _by_model(rows),
        "quotas": [one.document() for one in own_quotas(ask, user, department)],
        "pledge": {
            **person_document(pledge, department, None), "wanted_version": ask.books.settings.pledge_version,
            "sign_at": ask.books.settings.pledge_url,
        },
        "programmes": _programmes(ask, user),
    }  # fmt: skip


def _by_model(rows: list[UsageRow]) -> list[dict[str, Any]]:
    """Requests, tokens and cost of each model and currency, the dearest first. A cost is None where a part has none."""
    found: dict[tuple[Any, Any], dict[str, Any]] = {}
    for row in rows:
        provider, model, unit = row.group
        one = found.setdefault(
            (provider, model),
            {"provider": provider, "model": model, "requests": 0, "tokens": 0, "costs": {}, "is_priced": True},
        )
        if unit == "requests":
            one["requests"] += row.quantity or 0
        elif isinstance(unit, str) and unit.endswith("_tokens"):
            one["tokens"] += row.quantity or 0
        one["is_priced"] = one["is_priced"] and row.price_status != "unpriced"
        if row.cost is not None and row.currency is not None:
            with exact():
                one["costs"][row.currency] = one["costs"].get(row.currency, Decimal(0)) + row.cost
    ordered = sorted(found.values(), key=lambda one: (-sum(one["costs"].values(), Decimal(0)), str(one["model"])))
    for one in ordered:
        one["requests"], one["tokens"] = str(one["requests"]), str(one["tokens"])
        one["costs"] = {currency: plain(amount) for currency, amount in sorted(one["costs"].items())}
    return ordered


def _department(ask: Ask, user: str) -> str | None:
    found = ask.connection.execute(
        text("""select department from roster where "user" = :user and valid_from <= :now
                  and (valid_to is null or valid_to > :now) order by valid_from desc, id desc limit 1"""),
        {"user": user, "now": ask.now},
    ).scalar()
    return None if found is None else str(found)


def _programmes(ask: Ask, user: str) -> list[dict[str, Any]]:
    """The programmes in which the person has a place or waits for one."""
    applications = held_applications(ask.connection)
    today = today_of(ask)
    found = []
    for one in held_programmes(ask.connection).values():
        if state_on(one, today) == "ended":
            continue
        place = next((p for p in places_of(one, applications) if p.user == user and p.holds(ask.now)), None)
        wait = next((w for w in waiting_at(one, applications, ask.now) if w.user == user), None)
        if place is not None or wait is not None:
            since = place.since if place is not None else None
            number = wait.number if wait is not None else None
            found.append({**programme_document(one, today), "since": since, "number": number})
    return found


def sign(ask: Ask, form: Form) -> Done:
    """Sign the version of the pledge that counts, today, for oneself."""
    user = user_of(ask)
    version = ask.books.settings.pledge_version
    if version is None:
        sentence = Sentence("no version of the pledge is set (JANGBU_PLEDGE_VERSION): ask the platform team")
        raise RefusedByStateError(sentence)
    if form.text("version") != version:
        raise UsageError(
            Sentence(
                "the version that counts is %(version)s: open the page again, read it, and sign that one",
                version=repr(version),
            )
        )
    if not form.flag("agreed"):
        raise UsageError(Sentence("tick that you have read the pledge and will keep to it, and send again"))
    row = Signature(user, version, today_of(ask), None)
    with ask.books.change() as connection:
        lock_registers(connection)
        added, _ = new_rows(held_signatures(connection), [row])
        if added:
            content = f"{user}\n{version}\n{row.signed_on}".encode()
            write_signatures(connection, added, name="page: /me", sha256=sha256_of(content), actor=ask.identity)
            note(connection, ask.identity, "pledge_signed", user, detail={"version": version})
    return Done("/me", ask.text("Your signature of %(day)s is kept.", day=row.signed_on), {"signed_on": row.signed_on})


def _table(_ask: Ask, document: Document) -> Table:
    return Table("my-use", COLUMNS, [[one[name] for name in COLUMNS] for one in document["rows"]], ("quantity", "cost"))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/me", title="My use", rule=SIGNED_IN, read=read_me, template="me.html", table=_table,
         about="One's own use of a month, quotas, programmes and pledge.",
         parameters=(Parameter("month", "YYYY-MM; the present one where not given", example="2026-10"),)),
    Action(path="/me/pledge", title="Sign the pledge", rule=SIGNED_IN, do=sign,
           about="Sign the version of the pledge that counts, today.",
           fields=(Field("version", "the version that was read"),
                   Field("agreed", "read, and will keep to it", "flag"))),
)  # fmt: skip
