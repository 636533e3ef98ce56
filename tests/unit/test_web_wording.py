"""Every text of the pages has its Korean; placeholders agree; a made-up language shows what no catalogue knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import extract

import billing
from jangbu.web import wording
from jangbu.web.frame import TEMPLATES
from jangbu.web.navigation import PLACES
from jangbu.web.pages.design import TOKENS
from jangbu.web.rights import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = Path(wording.__file__).parent
OPTIONS = {"silent": "false", "trim_blocks": "true", "extensions": "jinja2.ext.do", "newstyle_gettext": "true"}


def told_by_templates() -> Iterator[tuple[str, str]]:
    """(place, message) of every template."""
    for file in sorted(TEMPLATES.glob("*.html")):
        with file.open("rb") as opened:
            for line, message, _, _ in extract("jinja2.ext:babel_extract", opened, options=OPTIONS):
                for one in message if isinstance(message, tuple) else (message,):
                    yield f"{file.name}:{line}", one


def told_by_code() -> Iterator[tuple[str, str]]:
    """(place, message) of every `.text("…")` that is given a sentence, and of what is a message by its place."""
    for file in sorted(WEB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            first = node.args[0]
            if node.func.attr in ("text", "gettext") and isinstance(first, ast.Constant) and " " in str(first.value):
                yield f"{file.name}:{node.lineno}", str(first.value)
    yield from told_by_refusals()
    yield from (("navigation", place.title) for place in PLACES)
    yield from (("rights", rule.name) for rule in RULES)
    yield from (("design", words) for _, words in TOKENS)


REMEDIES = {"InvoiceRefused.at": 4, "CellError": 2, "CellProblem": 4, "_refused": 3, "self._refused": 3}
"""Where a call takes what to do about a value: words, or a sentence with values."""
REMEDY_NAMES = ("remedy", "again")
"""Of variables, in modules that refuse."""


def told_by_refusals() -> Iterator[tuple[str, str]]:
    """(place, template) of every `Sentence("…")` of the books and the pages, and of the remedies of files."""
    for place, words in said_in_code():
        if isinstance(words, ast.Constant) and isinstance(words.value, str):
            yield place, words.value


def said_in_code() -> Iterator[tuple[str, ast.expr]]:
    """(place, words) of every sentence and remedy, whatever they are made of."""
    for file in sorted([*WEB.parent.rglob("*.py"), *Path(billing.__file__).parent.rglob("*.py")]):
        source = file.read_text(encoding="utf-8")
        refuses = "FileRefused" in source or "InvoiceRefused" in source
        for node in ast.walk(ast.parse(source)):
            words: list[ast.expr] = []
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                at = 0 if called == "Sentence" else REMEDIES.get(called)
                words = [] if at is None else node.args[at : at + 1]
            elif refuses and isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in REMEDY_NAMES:
                words = [node.value]
            for one in words:
                for choice in (one.body, one.orelse) if isinstance(one, ast.IfExp) else (one,):
                    yield f"{file.name}:{choice.lineno}", choice


def missing(language: str) -> list[str]:
    """Places of messages that the language's catalogue does not have."""
    texts = wording.wording(language)
    told = [*told_by_templates(), *told_by_code()]
    assert len(told) > 200
    return sorted({f"{place}: {message}" for place, message in told if message not in texts._texts})


def test_every_message_has_its_korean() -> None:
    assert missing("ko") == []


def test_remedies_are_never_put_together_in_english() -> None:
    put_together = (ast.JoinedStr, ast.BinOp)
    assert [place for place, words in said_in_code() if isinstance(words, put_together)] == []


def test_a_message_without_korean_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(wording.wording("ko")._texts, "Sign out")
    assert [one for one in missing("ko") if one.endswith(": Sign out")]


def test_placeholders_agree() -> None:
    for message in wording.messages("ko"):
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        found = message.string if isinstance(message.string, str) else message.string[-1]
        wanted = set(re.findall(r"%\((\w+)\)s", ids[-1]))
        assert set(re.findall(r"%\((\w+)\)s", found)) == wanted, ids
        assert "%" not in re.sub(r"%%|%\(\w+\)s", "", found), f"a percent sign is written twice: {found}"


def test_one_message_has_one_korean() -> None:
    seen: dict[str, str] = {}
    for message in wording.messages("ko"):
        if isinstance(message.id, str):
            assert seen.setdefault(message.id, str(message.string)) == message.string, message.id


def test_the_made_up_language_keeps_placeholders() -> None:
    assert wording.pseudo("%(count)s of %(total)s deliveries") == "[%(count)s öf %(total)s délîvérîéš···········]"


@pytest.mark.parametrize(
    ("cookie", "accepted", "expected"),
    [
        ("ko", "en", "ko"), (None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"), (None, "fr,de", "en"), ("<script>", "en-GB", "en"),
        (None, None, "en"),
    ],
)  # fmt: skip
def test_a_reader_reads_the_own_language(cookie: str | None, accepted: str | None, expected: str) -> None:
    assert wording.chosen_language(cookie, accepted, "en") == expected
