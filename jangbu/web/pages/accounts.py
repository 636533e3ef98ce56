"""Local accounts and tokens of programs, for the platform team: as `jangbu account` and `jangbu token` have them.

A password and a token are made here at random and shown once: nobody chooses one for somebody else. Nobody changes
the own account here: a page of roles is no way to give them to oneself, nor to lock everybody out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from billing.sentences import Sentence
from jangbu.commands.accounts import COLUMNS, account_document
from jangbu.commands.tokens import DAYS_MAX, token_document
from jangbu.errors import RefusedByStateError, UsageError
from jangbu.settings_sign_in import ROLES
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import ORGANISATION, PLATFORM
from jangbu.web.signin.accounts import (
    account_of,
    add_account,
    folded,
    list_accounts,
    set_disabled,
    set_password,
    set_roles,
)
from jangbu.web.signin.api_tokens import add_token, list_tokens, revoke_token
from jangbu.web.signin.secrets import new_secret
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from jangbu.web.signin.accounts import Account

NAME_CHARACTERS_MAX: Final = 128
DEPARTMENTS_MAX: Final = 100
SCOPES: Final = ("read", "read-write")
DAYS: Final = 365
SHOWN_ONCE: Final = "account_secret.html"
"""The page that shows a password or a token, once."""


def read_accounts(ask: Ask) -> Document:
    """Accounts a page at a time, every token, and the account whose changes are asked for. Never a hash."""
    with ask.books.engine("billing").connect() as connection:
        accounts = [account_document(one) for one in list_accounts(connection)]
        tokens = [token_document(one) for one in list_tokens(connection)]
    asked = ask.one("name")
    chosen = None
    if asked is not None:
        with ask.books.engine("billing").connect() as connection:
            chosen = account_document(account_of(connection, folded(asked)))
    shown = page_of(ask, accounts)
    everything = ask.one("format") in ("csv", "xlsx")
    return {
        "accounts": accounts if everything else shown["rows"],
        "shown": {name: value for name, value in shown.items() if name != "rows"}, "tokens": tokens,
        "chosen": chosen, "own": _own_name(ask), "roles": list(ROLES), "scopes": list(SCOPES),
        "local_accounts": ask.books.settings.sign_in_accounts == "on",
    }  # fmt: skip


def add(ask: Ask, form: Form) -> Done:
    """A new account with a password that is shown once."""
    password = new_secret()
    with ask.books.change() as connection:
        made = add_account(
            connection, form.text("name"), password, _roles(form), actor=ask.identity,
            display_name=_word(form, "display_name"), user=_word(form, "user"), departments=_departments(form),
        )  # fmt: skip
    return _shown_once(ask.text("Account %(name)s is made.", name=made.name), made, password)


def change(ask: Ask, form: Form) -> Done:
    """Other roles and departments; they hold from the account's next page."""
    name = _anothers(ask, form)
    with ask.books.change() as connection:
        made = set_roles(connection, name, _roles(form), _departments(form), actor=ask.identity)
    return Done("/accounts", ask.text("Account %(name)s has other roles.", name=made.name), account_document(made))


def shut(ask: Ask, form: Form) -> Done:
    """Shut an account or open it again; its sessions end."""
    name, state = _anothers(ask, form), form.text("state")
    if state not in ("shut", "open"):
        raise UsageError(Sentence("the state is %(state)s: use shut or open", state=repr(state[:40])))
    with ask.books.change() as connection:
        set_disabled(connection, name, state == "shut", actor=ask.identity)
    if state == "shut":
        sentence = ask.text("Account %(name)s is shut, its sessions have ended.", name=name)
    else:
        sentence = ask.text("Account %(name)s is open again.", name=name)
    return Done("/accounts", sentence, {"name": name, "state": state})


def reset(ask: Ask, form: Form) -> Done:
    """Another password, shown once; the account's sessions end."""
    name, password = _anothers(ask, form), new_secret()
    with ask.books.change() as connection:
        set_password(connection, name, password, actor=ask.identity)
        made = account_of(connection, name)
    sentence = ask.text("Account %(name)s has another password, its sessions have ended.", name=name)
    return _shown_once(sentence, made, password)


def give_token(ask: Ask, form: Form) -> Done:
    """A token of a program, shown once."""
    scope, days = form.optional("scope") or "read", form.optional("days") or str(DAYS)
    if scope not in SCOPES:
        raise UsageError(Sentence("the scope is %(scope)s: use read or read-write", scope=repr(scope[:40])))
    if not days.isascii() or not days.isdigit() or not 1 <= int(days[:9]) <= DAYS_MAX:
        said = Sentence("days are %(days)s: write how many, from 1 to %(most)s", days=repr(days[:40]), most=DAYS_MAX)
        raise UsageError(said)
    name = folded(form.text("name"))
    with ask.books.change() as connection:
        secret = add_token(
            connection, name, _roles(form), days=int(days), read_only=scope == "read", actor=ask.identity,
            user=_word(form, "user"), departments=_departments(form),
        )  # fmt: skip
    told = {"kind": "token", "name": name, "secret": secret, "scope": scope, "days": int(days)}
    return Done("/accounts", ask.text("Token %(name)s is given.", name=name), told, template=SHOWN_ONCE)


def revoke(ask: Ask, form: Form) -> Done:
    """End a token at once."""
    name = folded(form.text("name"))
    with ask.books.change() as connection:
        revoke_token(connection, name, actor=ask.identity)
    return Done("/accounts", ask.text("Token %(name)s is revoked.", name=name), {"name": name, "state": "revoked"})


def _shown_once(sentence: str, made: Account, secret: str) -> Done:
    """The password on a page of its own, never in an address or a cookie."""
    return Done("/accounts", sentence, {"kind": "password", "name": made.name, "secret": secret}, template=SHOWN_ONCE)


def _own_name(ask: Ask) -> str | None:
    return ask.identity.removeprefix("web:") if ask.identity.startswith("web:") else None


def _anothers(ask: Ask, form: Form) -> str:
    """The account's name. Raises RefusedByStateError for the own one."""
    name = folded(form.text("name"))
    if name == _own_name(ask):
        raise RefusedByStateError(
            Sentence("%(name)s is your own account: ask somebody else of the platform team to change it", name=name)
        )
    return name


def _roles(form: Form) -> list[str]:
    roles = form.many("roles")
    wrong = next((one for one in roles if one not in ROLES), None)
    if wrong is not None:
        raise UsageError(Sentence("%(role)s is no role: use %(known)s", role=repr(wrong[:40]), known=", ".join(ROLES)))
    if not roles:
        raise UsageError(Sentence("no role is ticked: tick at least one"))
    return roles


def _departments(form: Form) -> list[str]:
    """Codes between commas."""
    codes = [code.strip() for one in form.many("departments") for code in one.split(",") if code.strip()]
    for code in codes:
        _checked("departments", code)
    if len(codes) > DEPARTMENTS_MAX:
        raise UsageError(
            Sentence("%(count)s departments are named: name at most %(most)s", count=len(codes), most=DEPARTMENTS_MAX)
        )
    return codes


def _word(form: Form, name: str) -> str | None:
    told = form.optional(name)
    return None if told is None else _checked(name, told)


def _checked(name: str, told: str) -> str:
    """A short printable text. Raises UsageError."""
    if len(told) > NAME_CHARACTERS_MAX or not told.isprintable():
        raise UsageError(
            Sentence(
                "%(field)s is %(value)s: use at most %(most)s characters that can be shown",
                field=name, value=repr(told[:40]), most=NAME_CHARACTERS_MAX,
            )
        )  # fmt: skip
    return told


def _table(_ask: Ask, document: Document) -> Table:
    return Table("accounts", COLUMNS, [[_cell(one[name]) for name in COLUMNS] for one in document["accounts"]])


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value


_NAME: Final = Field("name", "the account's name")
_ROLES: Final = Field("roles", "what it may do", "many", values=ROLES)
_DEPARTMENTS: Final = Field("departments", "codes between commas, beside those of the register", required=False)
_USER: Final = Field("user", "the id that the person's usage events carry", required=False)
REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/accounts", title="Accounts and tokens", rule=ORGANISATION, read=read_accounts, template="accounts.html",
         table=_table, about="Local accounts and tokens of programs; never a password, a token, or a hash of one.",
         parameters=(Parameter("name", "the account that is to be changed", example="kim"), PAGE)),
    Action(path="/accounts/add", title="Add an account", rule=PLATFORM, do=add,
           about="Add a local account. Its password is made at random and is in this answer alone.",
           fields=(Field("name", "what the person signs in with"), _ROLES, _DEPARTMENTS, _USER,
                   Field("display_name", "as pages show it", required=False))),
    Action(path="/accounts/set", title="Other roles", rule=PLATFORM, do=change,
           about="Give somebody else's account these roles and departments, in place of those it has.",
           fields=(_NAME, _ROLES, _DEPARTMENTS)),
    Action(path="/accounts/state", title="Shut or open an account", rule=PLATFORM, do=shut,
           about="Shut somebody else's account, or open it again; its sessions end.",
           fields=(_NAME, Field("state", "shut or open", values=("shut", "open")))),
    Action(path="/accounts/password", title="Another password", rule=PLATFORM, do=reset,
           about="Give somebody else's account a random password, which is in this answer alone; its sessions end.",
           fields=(_NAME,)),
    Action(path="/accounts/tokens/add", title="Give a token", rule=PLATFORM, do=give_token,
           about="Give a program a token, which is in this answer alone.",
           fields=(Field("name", "the token's name, one never given before"), _ROLES, _DEPARTMENTS, _USER,
                   Field("scope", "read, or what its roles may change too", required=False, values=SCOPES),
                   Field("days", f"how long it holds; {DAYS} where not told", required=False))),
    Action(path="/accounts/tokens/revoke", title="Revoke a token", rule=PLATFORM, do=revoke,
           about="End a token at once.", fields=(Field("name", "the token's name"),)),
)  # fmt: skip
