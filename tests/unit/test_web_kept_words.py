"""What the books keep as English is told in Korean by its template, for every wording that the code can make."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import billing
from jangbu.web.kept_words import CHARACTERS_MAX, told_again

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOKS = Path(billing.__file__).parent
KEPT_IN = (
    *sorted((BOOKS / "reconciliation").glob("*.py")), *sorted((BOOKS / "explaining").glob("*.py")),
    *sorted((BOOKS / "invoices").glob("*.py")), BOOKS / "price_check.py",
)  # fmt: skip
CALLS = {"compare": (0, 3), "Check": (0, 4)}
"""Where the steps of a proof are told, and why one disagrees."""
TELLING = ("_why", "_rounding_why", "_kind_why", "_why_alone", "_unable", "recognise")
"""Functions that answer with words."""
NAMES = ("why", "detail", "step")
"""Of variables that hold what is kept."""
OWN_WORDS = {"rows_named(": "price row P-000118 (2.5 per 1,000,000, since 2026-01-01)", "times(": "a 1,000th",
             "implied_price(": "about 2.5 per 1,000,000", "per_million(": "2.5 per 1,000,000",
             "_day_rows(": "no price row", "saw": "we saw 7",
             "silence(": "no import covers this day", "found.why": "a total"}  # fmt: skip


def made_by_code() -> Iterator[tuple[str, str]]:
    """(place, text) of every wording of `why = f"…"`, with made-up values, each plural and each choice once."""
    for file in KEPT_IN:
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield from _made_by(file.name, function)


def _made_by(name: str, function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    known: dict[str, list[ast.expr]] = {}
    found: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known.setdefault(node.targets[0].id, []).append(node.value)
            found += [node.value] if node.targets[0].id in NAMES else []
        elif isinstance(node, ast.Return) and node.value is not None and function.name in TELLING:
            found.append(node.value)
        elif isinstance(node, ast.Call):
            found += [node.args[at] for at in CALLS.get(ast.unparse(node.func), ()) if at < len(node.args)]
    inner = {key: value for key, value in known.items() if key not in NAMES}
    for words in found:
        for choice in (words.body, words.orelse) if isinstance(words, ast.IfExp) else (words,):
            is_text = isinstance(choice, ast.JoinedStr) or isinstance(getattr(choice, "value", None), str)
            for text in wordings(choice, inner) if is_text else ():
                if text and not text.endswith(" "):  # the beginning of one
                    yield f"{name}:{choice.lineno}", text


def wordings(words: ast.expr, known: dict[str, list[ast.expr]]) -> list[str]:
    """Every text that an expression can be."""
    if isinstance(words, ast.Constant):
        return [str(words.value)]
    if isinstance(words, ast.JoinedStr):
        return ["".join(one) for one in itertools.product(*(wordings(part, known) for part in words.values))]
    if isinstance(words, ast.FormattedValue):
        return wordings(words.value, known)
    if isinstance(words, ast.IfExp):
        return [*wordings(words.body, known), *wordings(words.orelse, known)]
    if isinstance(words, ast.Name) and words.id in known:
        texts = [one for one in known[words.id] if isinstance(one, ast.JoinedStr | ast.IfExp | ast.Constant)]
        if texts:
            return [text for one in texts for text in wordings(one, known)]
    source = ast.unparse(words)
    if source.startswith("_s("):
        return ["", "s"]
    return [next((said for start, said in OWN_WORDS.items() if start in source), "7")]


ALL = sorted(set(made_by_code()))


def test_wordings_are_found() -> None:
    assert len(ALL) > 40


@pytest.mark.parametrize(("place", "text"), ALL)
def test_every_kept_wording_has_its_korean(place: str, text: str) -> None:
    told = told_again(text, "ko")
    assert told is not None, f"{place}: {text}"
    assert any("가" <= sign <= "힣" for sign in told)


def test_values_stay_what_they_are() -> None:
    text = (
        "the vendor bills 1,200 input_tokens, we saw 1,000: +200 at our price row P-000118 (2.5 per 1,000,000, since "
        "2026-01-01); 3 calls of this group broke off (status cut), where vendors count on and we see no more"
    )
    told = told_again(text, "ko")
    assert told is not None
    for value in ("1,200", "input_tokens", "1,000", "+200", "P-000118", "2.5", "2026-01-01", "3건"):
        assert value in told


@pytest.mark.parametrize(
    "text", ["", "a word", "the vendor bills", "x" * (CHARACTERS_MAX + 1), "the vendor bills <b> %(count)s"]
)
def test_another_text_is_left_alone(text: str) -> None:
    assert told_again(text, "ko") is None
    assert told_again("no price row", "en") is None


def test_a_long_text_that_fits_nothing_is_given_up() -> None:
    assert told_again("the vendor bills " + "a b in 1 row, " * 140, "ko") is None
    assert told_again("; ".join(["7 rows (x) of y"] * 130), "ko") is None


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("D001: use of 2026-10", "D001: 2026-10 사용"),
        ("(unattributed): tax of 2026-10", "(부서 미상): 2026-10 세금"),
        ("google: owed for 2026-10, accrued until its invoice is final",
         "google: 2026-10 지급할 금액(청구서 확정 전 추정 계상)"),
    ],
)  # fmt: skip
def test_entries_are_described_in_korean(kept: str, told: str) -> None:
    assert told_again(kept, "ko") == told
