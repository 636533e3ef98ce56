"""Why a record is no event is told in Korean: what the contract and the worker really say of wrong records."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jangbu.web.kept_words import QUARANTINE, told_again
from producers import contract
from producers.contract import EventRefused, TimeBounds, check_time, decode_event
from streams import decode
from tests.faults.events import event

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = event("a")


def changed(**cells: Any) -> bytes:
    return json.dumps({**GOOD, **cells}).encode()


def of_data(**cells: Any) -> bytes:
    return changed(data={**GOOD["data"], **cells})


def remedies() -> Iterator[tuple[str, str]]:
    """(place, remedy) of every refusal that the contract and the worker write, with made-up values."""
    for file in (Path(contract.__file__), Path(decode.__file__)):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "EventRefused" and len(node.args) == 4:
                words = node.args[3]
                if isinstance(words, ast.Constant):
                    yield f"{file.name}:{words.lineno}", str(words.value)
                elif isinstance(words, ast.JoinedStr):
                    parts = [str(one.value) if isinstance(one, ast.Constant) else "7" for one in words.values]
                    yield f"{file.name}:{words.lineno}", "".join(parts)


ALL = sorted(set(remedies()))


def test_remedies_are_found() -> None:
    assert len(ALL) > 10


@pytest.mark.parametrize(("place", "remedy"), ALL)
def test_every_remedy_has_its_korean(place: str, remedy: str) -> None:
    told = told_again(f"data.model is 'a: b': {remedy}", "ko", file=QUARANTINE)
    assert told is not None, f"{place}: {remedy}"
    assert "data.model 값이 'a: b'입니다" in told


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"\xff", b"{}", changed(specversion="2"), changed(id=1), changed(id=""), changed(time="x"),
        of_data(units={"input_tokens": -1}), of_data(units={"Input": 1}), of_data(model=None), of_data(model="a\tb"),
        of_data(units={"input_tokens": 10**30}), changed(source="s" * 5000), changed(id="한" * 5000),
    ],
)  # fmt: skip
def test_what_wrong_records_are_refused_with_has_its_korean(raw: bytes) -> None:
    with pytest.raises(EventRefused) as refused:
        decode_event(raw)
    told = told_again(str(refused.value), "ko", file=QUARANTINE)
    assert told is not None, str(refused.value)
    assert refused.value.field in told


def test_a_time_that_is_not_believed_says_what_to_set() -> None:
    with pytest.raises(EventRefused) as refused:
        check_time(10**16, 0, TimeBounds())
    told = told_again(str(refused.value), "ko", file=QUARANTINE)
    assert told is not None
    assert "보내는 쪽 시계를 맞춘 뒤 재투입하십시오" in told
