"""`jangbu demo` as a user runs it: twice in two languages, the same hashes, every fault found, nothing left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

CHECKOUT = Path(__file__).resolve().parents[2]
SIZE = ("--users", "300", "--events", "3000", "--seed", "11")
TIMEOUT_S = 280

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(2 * TIMEOUT_S)]


def jangbu(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command with a hostile setting around it: a demo reads none of them."""
    hostile = {"JANGBU_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "JANGBU_CURRENCY": "EUR"}
    surroundings = {**os.environ, **(hostile if words[0] == "demo" else {}), "PYTHONPATH": str(CHECKOUT), **environment}
    return subprocess.run([sys.executable, "-P", "-m", "jangbu", *words], cwd=cwd, env=surroundings, text=True,
                          capture_output=True, timeout=TIMEOUT_S, check=False)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def document(where: Path) -> dict[str, Any]:
    """The figures of a first run."""
    done = jangbu("demo", "--json", *SIZE, cwd=where)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def screen(where: Path, document: dict[str, Any]) -> str:
    """The screen of a second run in the same place, in Korean by the locale."""
    assert document["directory"] == str(where / "jangbu-demo")
    done = jangbu("demo", *SIZE, "--no-serve", cwd=where, LC_ALL="ko_KR.UTF-8")
    assert done.returncode == 0, done.stderr
    assert "한 달" in done.stderr, "it says how far it is, on standard error"
    return done.stdout


def test_every_law_holds_and_the_proof_is_zero(document: dict[str, Any]) -> None:
    assert {"1-accepted", "2-sums"} <= {law["law"] for law in document["laws"]}
    assert not [law for law in document["laws"] if law["violations"]]
    assert document["invoice"]["difference"] == "0"


def test_what_was_planted_is_found_to_the_last_digit(document: dict[str, Any]) -> None:
    classes = {one["class"]: one for one in document["invoice"]["classes"]}
    assert set(classes) == {"PRICE", "BYPASS", "QUANTITY", "NOT_BILLED", "ROUNDING"}
    for one in classes.values():
        assert one["agrees"], one
        assert one["planted"]["amount"] != "0"


def test_what_came_in_is_accounted_for(document: dict[str, Any]) -> None:
    came, put_in = document["came_in"], document["came_in"]["delivered"]
    refused, quarantined = sum(document["refused"].values()), sum(document["quarantined"].values())
    assert came["accepted"] + refused == put_in["lines"]
    assert refused == put_in["malformed"]
    assert came["records"] == came["stored"] + came["duplicates"] + came["quarantined"]
    assert came["duplicates"] == put_in["copies"]
    assert document["quarantined"]["conflict"] == put_in["contradictions"] > 0
    assert document["quarantined"].get("duplicate_other_time", 0) == put_in["restamped"]
    foreign = came["records"] - came["accepted"]
    assert quarantined == put_in["contradictions"] + put_in["restamped"] + foreign
    assert came["stored"] == put_in["calls"] + put_in["restamped"]


def test_the_month_is_billed(document: dict[str, Any], where: Path) -> None:
    month = document["month_total"]
    assert 0 < int(month["total"]) < int(month["seats_of_users"]) < int(month["seats_of_all"]) == 9_000_000
    assert int(month["unattributed"]) > 0
    assert month["unpriced_models"] == ["kanana-1.5-15.7b-a3b"]
    assert document["came_in"]["models"] == 29
    kept = json.loads((where / "jangbu-demo" / "out" / "statements-2026-10.json").read_text(encoding="utf-8"))
    assert kept["total"] == month["total"]
    assert len(kept["statements"]) == document["statements"]["count"]
    assert sum(int(one["total"]) for one in kept["statements"]) == int(kept["total"])


def test_a_second_run_gives_the_same_hash_on_one_screen(screen: str, document: dict[str, Any]) -> None:
    assert document["statements"]["hash"] in screen
    lines = screen.rstrip("\n").split("\n")
    assert len(lines) <= 45
    assert max(cell_len(line) for line in lines) <= 100
    assert "장부 시연" in lines[0]
    assert "✘" not in screen


def test_what_it_left_can_be_looked_at(screen: str, document: dict[str, Any], where: Path) -> None:
    """The commands that the screen names, and the services have ended: each starts its own."""
    data = where / "jangbu-demo" / "data"
    (named,) = [line.partition("jangbu ")[2] for line in screen.splitlines() if "statement list" in line]
    assert named == "statement list 2026-10 --data-dir jangbu-demo/data"
    done = jangbu(*named.split(), "--json", cwd=where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["total"] == document["month_total"]["total"]
    state = json.loads((data / "run" / "services.json").read_text(encoding="utf-8"))
    assert not state["services"]
    assert not (where / ".jangbu").exists()
