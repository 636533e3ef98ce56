"""Usage views that people keep: a name for an address of the usage page, for oneself or for all who may see the page.

Whoever may see usage keeps views of their own, which nobody else sees; finance and the platform team may share theirs.
An address says what is asked, never what was found: whoever opens a shared one sees what they may see, no more.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import text

from billing.sentences import Sentence
from jangbu.errors import NotFoundError, UsageError
from jangbu.web.answers import Refused
from jangbu.web.pages.usage_asked import FILTERS
from jangbu.web.people import Role
from jangbu.web.rights import SCOPED
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Done, Field, Form, Registered

NAME_MAX: Final = 120
QUERY_MAX: Final = 2000
VIEWS_MAX: Final = 200
KEPT: Final = frozenset({"month", "from", "to", "by", "compare", "sort", "show", "field", "value", *FILTERS})
"""What of an address a view keeps: what is asked, not the page of it, its language or its form."""


def read_views(ask: Ask) -> list[dict[str, Any]]:
    """One's own views, then what others share, each by name."""
    rows = ask.connection.execute(
        text("""select id, name, query, owner, is_shared from usage_view where is_shared or owner = :identity
                order by owner = :identity desc, name, id limit :most"""),
        {"identity": ask.identity, "most": VIEWS_MAX},
    ).mappings()
    return [{**row, "owner": None if row["owner"] == ask.identity else row["owner"]} for row in rows]


def may_share(ask: Ask) -> bool:
    """Whether what this person keeps may be shown to everybody who may see usage."""
    return ask.person is not None and ask.person.has(Role.FINANCE, Role.PLATFORM)


def save(ask: Ask, form: Form) -> Done:
    """Keep an address under a name; one of the same name of the same person is replaced.

    Raises UsageError; Refused (403) where it was to be shared by somebody who may not.
    """
    name, query = form.text("name"), _asked_only(form.optional("query") or "")
    if len(name) > NAME_MAX or not name.isprintable():
        raise UsageError(
            Sentence(
                "the name is too long (%(most)s characters at most), or has signs that cannot be shown",
                most=NAME_MAX,
            )
        )
    is_shared = form.flag("shared")
    told = {"name": name, "query": query, "owner": ask.identity, "shared": is_shared}
    if is_shared and not may_share(ask):
        sentence = Sentence("views are shared by finance and the platform team: keep this one for yourself")
        raise Refused(403, "rights", sentence)
    with ask.books.change() as connection:
        others = text("select count(*) from usage_view where owner = :owner and name <> :name")
        held = connection.execute(others, told).scalar_one()
        if held >= VIEWS_MAX:
            raise UsageError(Sentence("you keep %(held)s views already: delete one that nobody needs", held=held))
        number = connection.execute(
            text("""insert into usage_view (name, query, owner, is_shared) values (:name, :query, :owner, :shared)
                    on conflict (owner, name) do update set query = excluded.query, is_shared = excluded.is_shared
                    returning id"""),
            told,
        ).scalar_one()
        detail = _noted(number, name, query, is_shared=is_shared)
        note(connection, ask.identity, "view_saved", "usage", detail=detail)
    return Done(f"/usage?{query}", ask.text("The view “%(name)s” is kept.", name=name), {"view": number})


def delete(ask: Ask, form: Form) -> Done:
    """Take one's own view away."""
    number = form.text("view")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise UsageError(Sentence("%(number)s is no view: the list has their numbers", number=repr(number)))
    with ask.books.change() as connection:
        gone = connection.execute(
            text("delete from usage_view where id = :id and owner = :owner returning name, query, is_shared"),
            {"id": int(number), "owner": ask.identity},
        ).one_or_none()
        if gone is None:
            raise NotFoundError(
                Sentence(
                    "you keep no view %(number)s: somebody else's can be deleted by its owner alone",
                    number=number,
                )
            )
        detail = _noted(int(number), gone.name, gone.query, is_shared=gone.is_shared)
        note(connection, ask.identity, "view_deleted", "usage", detail=detail)
    return Done("/usage", ask.text("The view “%(name)s” is deleted.", name=gone.name), {"view": int(number)})


def _noted(number: int, name: str, query: str, *, is_shared: bool) -> dict[str, Any]:
    """What the trail keeps of a view. Of one's own nothing that was written in it: others read the trail, and a head
    may have asked for people by names that they see as pseudonyms."""
    return {"view": number, "shared": is_shared, **({"name": name, "query": query} if is_shared else {})}


def _asked_only(query: str) -> str:
    """An address's query without what is no question. Raises UsageError where it is too long."""
    if len(query) > 2 * QUERY_MAX:
        raise UsageError(Sentence("the address has %(count)s characters: ask for less at once", count=len(query)))
    kept = [(name, value) for name, value in parse_qsl(query.lstrip("?")) if name in KEPT]
    found = urlencode(kept)
    if len(found) > QUERY_MAX:
        raise UsageError(
            Sentence(
                "the address has %(count)s characters: ask for less at once, at most %(most)s",
                count=len(found),
                most=QUERY_MAX,
            )
        )
    return found


REGISTERED: Final[tuple[Registered, ...]] = (
    Action(path="/usage/views/save", title="Keep a view", rule=SCOPED, do=save,
           about="Keep an address of the usage page under a name, for oneself; the same name again replaces it. "
           "Finance and the platform team may share it.",
           fields=(Field("name", "what it is called"), Field("query", "the address's part after the question mark"),
                   Field("shared", "for everybody who may see the page", "flag", required=False))),
    Action(path="/usage/views/delete", title="Delete a view", rule=SCOPED, do=delete,
           about="Delete one's own view.", fields=(Field("view", "its number"),)),
)  # fmt: skip
