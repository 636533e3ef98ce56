"""An employee's own page: what I used, what is left, which models, the pledge and how to sign it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.money import exact, plain
from billing.parts import last_own_hour
from billing.periods import month_in, month_of_hour
from billing.plans.registers import lock_registers
from billing.pledges.documents import person_document
from billing.pledges.pledge import Signature, new_rows, state_of
from billing.pledges.register import held_signatures, signatures_by_user, write_signatures
from billing.sentences import Sentence
from billing.store import sha256_of
from billing.usage import own_usage
from jangbu.errors import RefusedByStateError, UsageError
from jangbu.web.pages.own_places import department_of, read_places, user_of
from jangbu.web.pages.own_quotas import own_quotas
from jangbu.web.pages.pledges import rules_of, today_of
from jangbu.web.rights import SIGNED_IN
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from billing.usage import UsageRow

COLUMNS: Final = ("provider", "model", "unit", "quantity", "cost", "currency", "price_status")
BY: Final = ("provider", "model", "unit")


def read_me(ask: Ask) -> Document:
    """A month's own use by model, quotas, programmes, and the pledge."""
    user = user_of(ask)
    month = ask.month()
    rows = own_usage(ask.connection, month_in(month, ask.books.settings.timezone), ask.book, user)
    department = department_of(ask.connection, user, ask.now)
    own_places, open_programmes = read_places(ask, user)
    signed = signatures_by_user(ask.connection).get(user, ())
    pledge = state_of(user, signed, rules_of(ask), today_of(ask))
    return {
        "user": user,
        "department": department,
        "month": month,
        "rows": [row.document(BY) for row in rows],
        "models": _by_model(rows),
        "last_used_month": None if rows else _last_used_month(ask, user),
        "quotas": [one.document() for one in own_quotas(ask, user, department)],
        "pledge": {
            **person_document(pledge, department, None), "wanted_version": ask.books.settings.pledge_version,
            "sign_at": ask.books.settings.pledge_url,
        },
        "programmes": own_places,
        "open_programmes": open_programmes,
    }  # fmt: skip


def _last_used_month(ask: Ask, user: str) -> str | None:
    """The month of one's own last use; None where there is none."""
    hour = last_own_hour(ask.connection, user)
    return None if hour is None else month_of_hour(hour, ask.books.settings.timezone)


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
