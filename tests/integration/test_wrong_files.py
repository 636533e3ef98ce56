"""Files that people bring, wrong in every way that a file can be: refused whole, by name, line and remedy.

What a cell of each kind may not say stands in tests/test_bad_input.py and in the tests of each reader; here every kind
of file meets every kind of damage, and nothing that was stored before changes.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.command_world import CommandShell, use_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from jangbu.services.postgres import DatabaseUrls

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
KINDS = {
    "roster": ("roster", "roster.csv", "department"),
    "department": ("department", "departments.csv", "name"),
    "price": ("price", "prices.csv", "price"),
    "price terms": ("price terms", "terms.csv", "kind"),
    "fx": ("fx", "fx.csv", "rate"),
    "budget": ("budget", "budgets.csv", "amount"),
    "allocation": ("allocation", "allocation.csv", "pool"),
    "vendor": ("vendor", "vendors.csv", "providers"),
    "quota": ("quota", "quotas.csv", "limit"),
}
"""Command, a good file of docs/, and a column that it must have."""


def lines(raw: bytes) -> list[bytes]:
    return raw.rstrip(b"\n").split(b"\n")


def cell_of_first_row(raw: bytes, cell: str) -> bytes:
    """The first cell of the first row replaced."""
    rows = list(csv.reader(io.StringIO(raw.decode())))
    rows[1][0] = cell
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "nothing in it": (lambda _: b"", 1),
    "an empty line first": (lambda raw: b"\n" + raw, 1),
    "a header of another file": (lambda _: b"a,b,c\n1,2,3\n", 1),
    "a header that steers a terminal": (lambda raw: b"\x1b]0;owned\x07\xe2\x80\xae," + raw, 1),
    "a header of a megabyte": (lambda raw: b"x" * 1_000_000 + b"," + raw, 1),
    "a column too many": (lambda raw: b",x\n".join(lines(raw)) + b",x\n", 1),
    "a column twice": (lambda raw: b"\n".join(b"%b,%b" % (one, one.split(b",")[0]) for one in lines(raw)), 1),
    "no header": (lambda raw: b"\n".join(lines(raw)[1:]), 1),
    "a cell too many": (lambda raw: raw.rstrip(b"\n") + b",x\n", 0),
    "a line cut off": (lambda raw: raw + b"x\n", 0),
    "UTF-16": (lambda raw: raw.decode().encode("utf-16"), 1),
    "CP949": (lambda raw: raw + "예산,예산\n".encode("cp949"), 0),
    "a NUL": (lambda raw: cell_of_first_row(raw, "a\0b"), 2),
    "a line break within a cell": (lambda raw: cell_of_first_row(raw, "a\nb"), 3),
    "an escape sequence": (lambda raw: cell_of_first_row(raw, "\x1b[2J"), 2),
    "a cell of 1,025 characters": (lambda raw: cell_of_first_row(raw, "길" * 1025), 2),
    "a workbook": (lambda _: b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\xdf\xa4\xd2", 1),
    "JSON": (lambda _: b'[{"a": 1}]\n', 1),
    "semicolons": (lambda raw: raw.replace(b",", b";"), 1),
    "tabs": (lambda raw: raw.replace(b",", b"\t"), 1),
    "a quote that does not end": (lambda raw: raw + b'"x\n', 0),
    "signs behind a quote": (lambda raw: raw + b'"x"y,\n', 0),
    "a web page": (lambda _: b"<!DOCTYPE html>\n<html><body>404</body></html>\n", 1),
}
"""What happened to a good file, and the line that must be named (0: any behind the header)."""

REMEDIES = ("begin with", "add it", "keep one", "give ", "save ", "write it as CSV", "put commas")
"""How the sentence that says what to do begins."""


@pytest.fixture
def shell(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> CommandShell:
    use_database(migrated_database, monkeypatch, tmp_path)
    return CommandShell(capsys)


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_refuses_every_kind_of_file_whole(shell: CommandShell, kind: str) -> None:
    words, example, needed = KINDS[kind]
    good = (EXAMPLES / example).read_bytes()
    before = shell.run(*words.split(), "list", "--json")[1]
    damages = {**DAMAGES, f"no column {needed}": (lambda raw: raw.replace(needed.encode(), b"q", 1), 1)}
    for damage, (harm, line) in damages.items():
        Path("bad.csv").write_bytes(harm(good))
        code, out, err = shell.run(*words.split(), "import", "bad.csv", "--yes")
        assert (code, out) == (2, ""), (damage, err)
        named = [int(found) for found in re.findall(r"bad\.csv, line (\d+)", err)]
        assert named, (damage, err)
        assert line in named if line else min(named) > 1, (damage, err)
        assert "use " in err or any(word in err for word in REMEDIES), (damage, err)
        assert all(line.isprintable() for line in err.splitlines()), (damage, err)
        assert "Traceback" not in err
        assert len(err) < 4000, (damage, len(err))
        assert shell.run(*words.split(), "list", "--json")[1] == before, damage


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_itself_is_good_in_every_form_that_an_office_saves(shell: CommandShell, kind: str) -> None:
    """Otherwise the refusals would prove nothing: with a byte order mark, Windows line ends, quotes around all."""
    words, example, _ = KINDS[kind]
    good = (EXAMPLES / example).read_bytes()
    quoted = io.StringIO()
    csv.writer(quoted, quoting=csv.QUOTE_ALL).writerows(csv.reader(io.StringIO(good.decode())))
    Path("good.csv").write_bytes(good)
    states = [shell.json(*words.split(), "import", "good.csv", "--yes", *dry) for dry in (["--dry-run"], [])]
    assert [(one["dry_run"], one["written"], one["source"]) for one in states] == [
        (True, False, "good.csv"), (False, True, "good.csv")
    ]  # fmt: skip
    stored = shell.run(*words.split(), "list", "--json")[1]
    for content in (b"\xef\xbb\xbf" + good, good.replace(b"\n", b"\r\n"), quoted.getvalue().encode(), good + b"\n\n"):
        Path("again.csv").write_bytes(content)
        code, _, err = shell.run(*words.split(), "import", "again.csv", "--yes")
        assert code == 0, err
        assert shell.run(*words.split(), "list", "--json")[1] == stored


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_no_files(shell: CommandShell, kind: str) -> None:
    words = KINDS[kind][0].split()
    Path("folder.csv").mkdir()
    for name, code in (("nowhere.csv", 4), ("folder.csv", 2)):
        ended, out, err = shell.run(*words, "import", name)
        assert (ended, out, name in err) == (code, "", True), err
