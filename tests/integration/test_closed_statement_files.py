"""Files of closed months and of the corrections after them, through the commands."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import PRICE, PeriodWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

SEPTEMBER, OCTOBER = "2026-09", "2026-10"
FORMS = ("pdf", "xlsx", "csv", "json")


@pytest.fixture
def world(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PeriodWorld]:
    """September is used and closed; its late use becomes a correction in October."""
    use_database(migrated_database, monkeypatch, tmp_path)
    made = PeriodWorld(migrated_database)
    made.house.prices(PRICE.format(3, 1000))
    made.use(made.one("a", "2026-09-03T10:00:00+09:00", "D012", 1_234_567))
    made.use(made.one("b", "2026-10-03T10:00:00+09:00", "D012", 500_000))
    yield made
    made.end()


@pytest.fixture
def shell(world: PeriodWorld, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    return CommandShell(capsys)


def export(shell: CommandShell, month: str, out: Path) -> dict[str, str]:
    """The bytes' digests by file name."""
    found = {}
    for form in FORMS:
        made = shell.json("statement", "export", month, "--format", form, "--out", out, "--lang", "ko")
        found |= {one["file"]: one["sha256"] for one in made["files"]}
    return found


def test_files_of_a_closed_month_stay_what_they_are(shell: CommandShell, world: PeriodWorld, tmp_path: Path) -> None:
    open_files = export(shell, SEPTEMBER, tmp_path / "open")
    world.close(SEPTEMBER)
    closed = export(shell, SEPTEMBER, tmp_path / "closed")
    world.use(world.one("late", "2026-09-09T10:00:00+09:00", "D012", 777_777))
    world.house.prices(PRICE.format(4, 1000).replace("2026-01-01", "2026-10-01"))
    assert export(shell, SEPTEMBER, tmp_path / "closed") == closed
    for file in [*open_files, *closed]:
        code, out, _ = shell.run("statement", "verify", file, "--json")
        assert (code, json.loads(out)["answer"]) == (0, "agrees"), out


def test_corrections_are_in_every_output(shell: CommandShell, world: PeriodWorld, tmp_path: Path) -> None:
    world.close(SEPTEMBER)
    world.use(world.one("late", "2026-09-09T10:00:00+09:00", "D012", 777_777))
    shown = shell.json("statement", "show", OCTOBER, "D012")
    (correction,) = shown["adjustments"]
    for file in export(shell, OCTOBER, tmp_path / "out"):
        assert shell.run("statement", "verify", file)[0] == 0, file
    out = tmp_path / "focus.csv"
    assert shell.run("export", "focus", "--month", OCTOBER, "--out", out)[0] == 0
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    (row,) = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert (row["BilledCost"], row["ChargePeriodStart"]) == (correction["amount"], "2026-08-31T15:00:00Z")
    assert row["BillingPeriodStart"] == "2026-09-30T15:00:00Z"
    for layout in ("generic", "local-government"):
        assert (
            shell.run("export", "journal", "--month", OCTOBER, "--out", tmp_path / "j.csv", "--layout", layout)[0] == 0
        )


def test_closed_rows_name_their_invoice(shell: CommandShell, world: PeriodWorld, tmp_path: Path) -> None:
    world.close(SEPTEMBER)
    out = tmp_path / "focus.csv"
    assert shell.run("export", "focus", "--month", SEPTEMBER, "--out", out)[0] == 0
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert {row["InvoiceId"] for row in rows} == {f"{SEPTEMBER}-D012"}
