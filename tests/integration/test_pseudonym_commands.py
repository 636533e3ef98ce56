"""With `people = pseudonyms` no read names a user or a key; who has the key can find out whose a pseudonym is."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pypdf
import pytest

from billing.pseudonyms import Pseudonyms
from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

KEY = "0123456789abcdef-of-a-test"
PEOPLE = ("hong-gildong", "kim-cheolsu", "=lee-younghee", "personal-key-of-hong")
ROSTER = """user,key,department,valid_from
hong-gildong,,D1,2026-01-01
kim-cheolsu,,D2,2026-01-01
=lee-younghee,,D2,2026-01-01
,personal-key-of-hong,D1,2026-01-01
"""
READS = (
    "usage --month 2026-10 --by user", "usage --month 2026-10 --by user,key,model", "usage --month 2026-10",
    "explain 2026-10 D1", "explain 2026-10 D1 1", "explain 2026-10 D1 1 --users", "roster list",
    "roster list --user hong-gildong", "plan compare --month 2026-10 --seat-price 10 --candidates 9 --show-people",
    "statement list 2026-10", "statement show 2026-10 D2", "whatif --month 2026-10 --seat-price 10",
    "period status 2026-10", "allocation preview --month 2026-10", "price check", "quarantine list --state all",
)  # fmt: skip


@pytest.fixture
def world(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[PeriodWorld]:
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_PSEUDONYM_KEY", KEY)
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    with period_world(migrated_database) as made:
        made.house.prices(PRICE.format(1, 1))
        for place, name in enumerate(PEOPLE[:3]):
            made.use(made.one(f"e{place}", OCTOBER, "D1" if place < 1 else "D2", 100 * (place + 1), user=name))
        made.use(made.one("k", OCTOBER, None, 50, user=None, key=PEOPLE[3]))
        yield made


@pytest.fixture
def shell(world: PeriodWorld, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    made = CommandShell(capsys)
    made.json("roster", "import", "roster.csv")
    return made


def test_the_names_are_there_until_pseudonyms_are_asked_for(shell: CommandShell) -> None:
    """The planted defect: without the setting the search below finds every name."""
    said = "".join(shell.run(*read.split(), "--json")[1] for read in READS)
    assert all(name in said for name in PEOPLE)
    assert KEY not in said


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_no_read_names_anybody(shell: CommandShell, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]) -> None:
    monkeypatch.setenv("JANGBU_PEOPLE", "pseudonyms")
    for read in READS:
        code, out, err = shell.run(*read.split(), *form)
        assert code in (0, 6) or "No such option" in err, (read, err)
        assert not [name for name in (*PEOPLE, KEY) if name in out + err], read
    assert KEY not in "".join(shell.run("doctor")[1:])


def test_no_file_names_anybody(shell: CommandShell, tmp_path: Path) -> None:
    """Finance's papers carry departments, whatever is set."""
    for words in (
        ("statement", "export", "2026-10", "--format", "zip", "--out", "out"),
        ("statement", "export", "2026-10", "--format", "json", "--out", "out"),
        ("export", "focus", "--month", "2026-10", "--out", "out/focus.csv"),
        ("export", "journal", "--month", "2026-10", "--layout", "generic", "--out", "out/journal.csv"),
    ):
        assert shell.run(*words)[0] == 0
    opened = 0
    for file in tmp_path.glob("out/*"):
        for content in contents(file):
            opened += 1
            assert not [name for name in PEOPLE if name in content], file.name
    assert opened > 10


def contents(file: Path) -> Iterator[str]:
    """The text of a file, of each member of an archive, and of a PDF's pages."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            archive.extractall(file.parent / f"{file.name}-opened")
        for member in sorted((file.parent / f"{file.name}-opened").rglob("*")):
            if member.is_file():
                yield from contents(member)
    elif file.suffix == ".pdf":
        yield "\n".join(page.extract_text() for page in pypdf.PdfReader(file).pages)
    elif file.is_file():
        yield file.read_bytes().decode("utf-8", "replace")


def test_one_person_is_the_same_everywhere_and_can_be_found_by_who_has_the_key(
    shell: CommandShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    hong = Pseudonyms(KEY).of("user", "hong-gildong")
    (found,) = shell.json("roster", "list", "--user", hong)["memberships"]
    assert found["user"] == "hong-gildong"
    monkeypatch.setenv("JANGBU_PEOPLE", "pseudonyms")
    used = shell.json("usage", "--month", "2026-10", "--by", "user")["rows"]
    assert [row["quantity"] for row in used if row["user"] == hong] == ["100"]
    assert [row["user"] for row in used[:-1]] == sorted(row["user"] for row in used[:-1])
    assert used[-1]["user"] is None
    events = shell.json("explain", "2026-10", "D1", "1", "--users")["events"]["rows"]
    assert hong in {event["user"] for event in events}
    monkeypatch.setenv("JANGBU_PSEUDONYM_KEY", KEY[::-1])
    assert hong not in shell.run("usage", "--month", "2026-10", "--by", "user", "--json")[1]


def test_equal_use_is_listed_in_the_order_of_pseudonyms(
    shell: CommandShell, world: PeriodWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c", "d"):
        world.use(world.one(name, OCTOBER, "D3", 500, user=name))
    monkeypatch.setenv("JANGBU_PEOPLE", "pseudonyms")
    words = ("plan", "compare", "--month", "2026-10", "--seat-price", "10", "--candidates", "6", "--show-people")
    rows = shell.json(*words)["candidates"]["rows"]
    assert [row["place"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["user"] for row in rows[:4]] == sorted(Pseudonyms(KEY).of("user", name) for name in "abcd")
    assert rows[4]["user"] == Pseudonyms(KEY).of("user", "=lee-younghee")
