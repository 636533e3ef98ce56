"""A file of a register brought to a page: shown as it would be taken over, then taken over by a second press.

Nothing is kept on the server between the two: the preview's form carries the file, and what is written is what that
form brings. A file that is too large to be carried is taken over by the command.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from billing.sentences import Sentence
from jangbu.errors import UsageError
from jangbu.importing import import_state
from jangbu.web.views import Action, Done, Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from jangbu.importing import Outcome
    from jangbu.web.rights import Rule
    from jangbu.web.views import Ask, Form

    Work = Callable[[Ask, Connection, bytes, str], Outcome[dict[str, Any]]]

CARRIED_BYTES_MAX: Final = 2_000_000


def import_action(path: str, title: str, rule: Rule, going: str, work: Work, about: str) -> Action:
    """The action of a register's file. `work` is given the file's content and name, in a transaction of billing's."""

    def do(ask: Ask, form: Form) -> Done:
        name, raw = _brought(form)
        confirmed = form.flag("confirm")
        with ask.books.engine("billing").connect() as connection:
            outcome = work(ask, connection, raw, name)
            if confirmed:
                connection.commit()
            else:
                connection.rollback()
        document = {**import_state(dry_run=not confirmed), **outcome.result}
        if confirmed:
            return Done(going, ask.wording.told(outcome.sentence) or outcome.sentence, document)
        shown = {
            "document": document, "sentence": outcome.sentence, "details": list(outcome.details), "name": name,
            "has_changes": outcome.has_changes, "carried": base64.b64encode(raw).decode("ascii"), "path": path,
            "going": going,
        }  # fmt: skip
        return Done(going, outcome.sentence, shown, template="import_preview.html")

    fields = (
        Field("file", "the file", "file", required=False),
        Field("carried", "the file in Base64, in place of a file", required=False),
        Field("name", "the file's name, with `carried`", required=False),
        Field("confirm", "write; else it is only tried", "flag", required=False),
    )
    return Action(path=path, title=title, rule=rule, do=do, about=about, fields=fields)


def _brought(form: Form) -> tuple[str, bytes]:
    """Name and content. Raises UsageError."""
    carried = form.optional("carried")
    if carried is None:
        name, raw = form.file("file")
    else:
        name = form.text("name")
        try:
            raw = base64.b64decode(carried, validate=True)
        except (binascii.Error, ValueError):
            raise UsageError(Sentence("the field 'carried' is no Base64: choose the file again")) from None
    if len(raw) > CARRIED_BYTES_MAX:
        raise UsageError(
            Sentence(
                "%(file)s has %(bytes)s bytes, pages take %(most)s: use the command that imports it",
                file=repr(name[:200]), bytes=f"{len(raw):,}", most=f"{CARRIED_BYTES_MAX:,}",
            )
        )
    return name, raw
