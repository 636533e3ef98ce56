"""What a page says of a refusal, in the reader's language: by the sentence's template, never by reading its English.

Where the catalogue does not have a sentence, the page says in the reader's language what kind of refusal it is, and
gives the original marked as English. The API's sentences are English always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from billing.errors import FileRefused
from billing.ledger.close import MonthBlocked
from billing.sentences import Sentence, sentence_of
from jangbu.web.wording import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.ledger.checklist import Check
    from jangbu.web.answers import Refused
    from jangbu.web.wording import Wording

Kind = TypeVar("Kind", bound=BaseException)
PROBLEMS_SHOWN_MAX: Final = 20
LEADS: Final = {
    "input": Sentence("What was sent cannot be taken. The text below says what, which value, and what to do."),
    "not_found": Sentence("What was asked for is not there. The text below says what, and where to look."),
    "state": Sentence("The books do not allow this now. The text below says what stands against it, and what to do."),
    "settings": Sentence("A setting or a service stands against it. Show the text below to the platform team."),
    "rights": Sentence("This is not for you. The text below says for whom it is."),
}
BLOCKED: Final = Sentence("The month cannot be closed. Its page shows what stands against it and where that is mended.")
OTHER: Final = Sentence("This was refused. The text below says why.")


@dataclass(frozen=True)
class Line:
    """A line of a refusal; `language` is set where it is not the page's."""

    text: str
    language: str | None = None


def refusal_lines(refused: Refused, texts: Wording) -> list[Line]:
    """The refusal's lines in the reader's language."""
    if texts.language == ENGLISH:
        return [Line(str(refused))]
    file = _cause(refused, FileRefused)
    if file is not None:
        return list(_of_file(file, texts))
    blocked = _cause(refused, MonthBlocked)
    if blocked is not None:
        return [Line(texts.gettext(BLOCKED)), *(_of_check(one, texts) for one in blocked.checks)]
    found = texts.told(sentence_of(refused) or str(refused))
    if found is not None:
        return [Line(found)]
    return [Line(texts.gettext(LEADS.get(refused.code, OTHER))), Line(str(refused), ENGLISH)]


def _cause(error: BaseException, kind: type[Kind]) -> Kind | None:
    """The error itself, or the one that it passes on, of a kind."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__
    return seen


def _of_check(check: Check, texts: Wording) -> Line:
    """What stands against a close, and what to do there."""
    words = [one for one in (check.sentence, check.remedy) if one]
    told = [texts.told(one) for one in words]
    if None in told:
        return Line(f"  {check.name}: {'; '.join(words)}", ENGLISH)
    return Line(f"  {check.name}: {'. '.join(one for one in told if one)}")


def _of_file(error: FileRefused, texts: Wording) -> Iterator[Line]:
    """Every place in the file; what to do there in English where the catalogue does not have it."""
    count = len(error.problems)
    head = Sentence("The file was refused whole, nothing was imported. Problems: %(count)s", count=count)
    yield Line(texts.told(head) or head)
    for one in error.problems[:PROBLEMS_SHOWN_MAX]:
        place = {"file": one.shown_file, "line": one.line, "value": one.shown_value}
        if one.column:
            where = Sentence(
                "%(file)s, line %(line)s, column %(column)s: %(value)s", **place, column=one.shown_column
            )
        else:
            where = Sentence("%(file)s, line %(line)s: %(value)s", **place)
        remedy = texts.told(one.remedy)
        yield Line(f"  {texts.told(where) or where}" + ("" if remedy is None else f": {remedy}"))
        if remedy is None:
            yield Line(f"    {one.remedy}", ENGLISH)
    if count > PROBLEMS_SHOWN_MAX:
        more = Sentence("and %(count)s more", count=count - PROBLEMS_SHOWN_MAX)
        yield Line(f"  {texts.told(more) or more}")
