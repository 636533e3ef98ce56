"""No float on any path of billing: not by what is written (tests/test_architecture.py), and not by what comes out.

A float can come about without its name or a literal: int / int, a timestamp, a total of seconds, JSON. So here mypy,
which knows the type of every expression, is asked whether any of them is a float, and whether it knows what every
division is. What it cannot know (JSON) must say how it reads numbers.
"""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from mypy import build
from mypy.config_parser import parse_config_file
from mypy.inspections import find_by_location
from mypy.modulefinder import BuildSource
from mypy.nodes import Expression, MypyFile, OpExpr
from mypy.options import Options
from mypy.types import AnyType, Instance, Type, UnionType, get_proper_type

CHECKOUT = Path(__file__).resolve().parents[1]
FLOATS = frozenset({"builtins.float", "builtins.complex"})


def _holds_float(kind: Type) -> bool:
    proper = get_proper_type(kind)
    items = proper.items if isinstance(proper, UnionType) else [proper]
    return any(isinstance(item, Instance) and item.type.fullname in FLOATS for item in map(get_proper_type, items))


def _wrong(node: Expression, kind: Type) -> str | None:
    if _holds_float(kind):
        return "a float"
    is_unknown = isinstance(node, OpExpr) and node.op == "/" and isinstance(get_proper_type(kind), AnyType)
    return "a division of an unknown type" if is_unknown else None


def float_expressions(sources: list[BuildSource]) -> dict[str, list[str]]:
    """Where the expressions of modules are floats, by module.

    mypy gives types by expression, of every module that it read, and an expression does not say where it stands. So
    those that are wrong are looked up in the modules asked about, by their place in a file.
    """
    options = Options()
    parse_config_file(options, lambda: None, str(CHECKOUT / "pyproject.toml"), io.StringIO(), io.StringIO())
    options.packages = []
    options.export_types = options.preserve_asts = True
    options.cache_dir = str(CHECKOUT / ".mypy_cache")  # of what others wrote; a module given as text is read anew
    result = build.build(sources, options)
    wrong = {node: said for node, kind in result.types.items() if (said := _wrong(node, kind)) is not None}
    found: dict[str, list[str]] = {}
    for source in sources:
        tree = result.graph[source.module].tree
        assert isinstance(tree, MypyFile)
        for node, said in wrong.items():
            if node.end_line is None or node.end_column is None:
                continue
            if find_by_location(tree, node.line, node.column, node.end_line, node.end_column) is node:
                found.setdefault(source.module, []).append(f"line {node.line}: {said}")
    return found


TEXTS_ONLY = {
    "billing/ledger/booked.py": "kept documents of ours: texts, whose hash is checked",
    "billing/ledger/entries.py": "kept entries of ours: texts, shown as they are",
    "billing/ledger/kept.py": "kept documents of ours: texts, shown as they are",
    "billing/open_months.py": "kept documents of ours: texts, shown as they are",
    "billing/outputs/focus_rules.py": "whether a cell is a flat object; no value is used",
    "billing/outputs/pdf.py": "how a page was made; no amount",
    "billing/outputs/verifying.py": "a stranger's file, compared with ours: a number in it is a difference",
}
"""Where JSON is read without `parse_float`, and why no float is calculated with."""


def json_reads(code: str) -> list[str]:
    """Reads of JSON that would make floats: `json.load` and `json.loads` without `parse_float`."""
    return [
        f"line {node.lineno}: {ast.unparse(node.func)} without parse_float"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("json.load", "json.loads", "load", "loads")
        and "parse_float" not in {keyword.arg for keyword in node.keywords}
    ]


def billing() -> list[Path]:
    files = sorted((CHECKOUT / "billing").rglob("*.py"))
    assert len(files) > 50, "billing holds little Python: was it moved?"
    return files


def test_no_expression_of_billing_is_a_float() -> None:
    sources = [
        BuildSource(
            str(file),
            ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"),
            file.read_text(encoding="utf-8"),
        )
        for file in billing()
    ]
    assert float_expressions(sources) == {}


def test_json_is_read_without_floats() -> None:
    found = {str(file.relative_to(CHECKOUT)): json_reads(file.read_text(encoding="utf-8")) for file in billing()}
    assert {file for file, places in found.items() if places} <= TEXTS_ONLY.keys()


PLANTED = """
import json
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any


def sound(amount: Decimal, quantity: int, per: int) -> tuple[Decimal, Fraction, int, Decimal]:
    return amount / per, Fraction(quantity) / per, quantity // per, sum((amount,), Decimal(0))


def share(part: int, whole: int) -> object:
    return part / whole


def hour(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600


def span(length: timedelta) -> str:
    return str(length.total_seconds())


def several(amounts: list[int]) -> object:
    return [amount / 2 for amount in amounts]


def unknown(document: dict[str, Any]) -> object:
    return document["amount"] / 3


def powers(exponent: int) -> object:
    return Decimal(1) * 10**-2


def rounded(amount: Decimal) -> object:
    return amount.__float__()
"""


def test_planted_floats_are_found(tmp_path: Path) -> None:
    """Each kind of float that has neither a literal nor the word, and none in what is sound."""
    file = tmp_path / "planted.py"
    file.write_text(PLANTED, encoding="utf-8")
    lines = PLANTED.splitlines()
    found = float_expressions([BuildSource(str(file), "planted", PLANTED)])["planted"]
    places = {int(place.split()[1].rstrip(":")) for place in found}
    told = {next(lines[n] for n in range(place - 1, -1, -1) if lines[n].startswith("def ")) for place in places}
    names = {line.removeprefix("def ").partition("(")[0] for line in told}
    assert names == {"share", "hour", "span", "several", "unknown", "powers", "rounded"}


@pytest.mark.parametrize("planted", ["json.loads(text)", "json.load(file, parse_int=Decimal)", "loads(text)"])
def test_a_planted_read_of_json_is_found(planted: str) -> None:
    assert json_reads(f"document = {planted}\n")


def test_a_read_that_says_how_is_let_pass() -> None:
    assert json_reads("document = json.loads(text, parse_float=Decimal)\n") == []
