"""Commands as a person runs them, each a process of its own, on embedded services that come, are shared and go."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from jangbu.services import join
from jangbu.services.ports import free_port
from jangbu.settings import load
from tests.integration.command_world import CommandShell

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
JANGBU = Path(sys.executable).with_name("jangbu")
COMMAND_SECONDS_MAX = 120
UP_SECONDS_MAX = 90
STOP_SECONDS_MAX = 15
"""The contract's bound for the end of `up` and all its children."""
MODEL = "gpt-5-mini-2025-08-07"
READS = (
    "doctor", "audit", "roster list", "price list --provider openai --model gpt-5-mini", "price check", "fx list",
    "usage --month 2026-10", "usage --month 2026-10 --by hour,user,key,source", "statement list 2026-10",
    "statement show 2026-10 D012", "statement show 2026-10 unattributed", "vendor list", "invoice list",
    "reconcile --vendor openai --month 2026-10 --dry-run", "quarantine list --state all",
)  # fmt: skip

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]


class House:
    """A directory with the example files, and commands in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {**os.environ, "JANGBU_MAX_EVENT_BACK_DAYS": "36600", "LC_ALL": "C.UTF-8"}
        self.environment["JANGBU_PORT"] = str(free_port())
        self.up: subprocess.Popen[bytes] | None = None

    def __call__(self, text: str, *, code: int = 0, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command; standard input is no terminal. Fails where it ends with another code."""
        done = subprocess.run(
            [str(JANGBU), *text.split()],
            cwd=self.directory,
            env=self.environment,
            input=given or "",
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == code, f"jangbu {text}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, text: str, *, code: int = 0, given: str | None = None) -> Any:
        """The document that a command prints."""
        return json.loads(self(f"{text} --json", code=code, given=given).stdout)

    def start(self) -> None:
        """`jangbu up`, until it says that it is."""
        log = self.directory / "up.log"
        with log.open("wb") as output:
            self.up = subprocess.Popen(
                [str(JANGBU), "up"], cwd=self.directory, env=self.environment, stdout=output, stderr=output
            )
        deadline = time.monotonic() + UP_SECONDS_MAX
        while "jangbu is up" not in log.read_text():
            assert self.up.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"`jangbu up` is not up:\n{log.read_text()}"
            time.sleep(0.2)

    def family(self) -> list[psutil.Process]:
        """`up` and everything that it started."""
        assert self.up is not None
        process = psutil.Process(self.up.pid)
        return [process, *process.children(recursive=True)]

    def stop(self, number: int = signal.SIGTERM) -> list[psutil.Process]:
        """End `up`; what of its family is alive after the contract's time."""
        assert self.up is not None
        family = self.family()
        self.up.send_signal(number)
        self.up.wait(STOP_SECONDS_MAX + 30)
        self.up = None
        _, alive = psutil.wait_procs(family, STOP_SECONDS_MAX)
        return alive

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection]:
        """A connection as the owner of the database that runs."""
        settings = load(flags={"data_dir": str(self.directory / ".jangbu")}, environ={}, cwd=self.directory)
        with (
            join(settings, need={"postgres"}) as endpoints,
            psycopg.connect(endpoints.database_url, autocommit=True) as connection,
        ):
            yield connection


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose files are imported, with `up` running; the tests below leave it running."""
    directory = tmp_path_factory.mktemp("house")
    shutil.copytree(CHECKOUT / "docs/examples", directory / "files")
    (directory / "files/jangbu.toml").unlink()
    made = House(directory)
    made.start()
    try:
        for text in (
            "roster import files/roster.csv",
            "price import files/prices.csv",
            "price seed",
            "fx import files/fx.csv",
        ):
            made(text)
        yield made
    finally:
        if made.up is not None:
            assert made.stop() == []


def quantity(house: House, by: str, **wanted: str | None) -> int:
    """The sum of input tokens over rows of `usage` that hold what is wanted."""
    rows = house.json(f"usage --month 2026-10 --by {by},unit")["rows"]
    return sum(
        int(row["quantity"])
        for row in rows
        if row["unit"] == "input_tokens" and all(row[name] == value for name, value in wanted.items())
    )


def line(number: int, **data: Any) -> str:
    """A usage event as a line."""
    document = {
        "specversion": "1.0", "type": "ai.usage.v1", "source": "e2e", "id": f"e2e-{number}",
        "time": f"2026-10-20T01:00:{number:02}Z", "subject": "u-1001",
        "data": {"model": MODEL, "provider": "openai", "units": {"input_tokens": 1000, "requests": 1}, **data},
    }  # fmt: skip
    return json.dumps(document) + "\n"


def test_a_month_goes_in_and_comes_out(house: House) -> None:
    told = house.json("ingest files/usage.ndjson --format usage")
    assert (told["accepted"], told["rejected"], told["rejections"][0]["line"]) == (8, 1, 9)
    assert told["rejections"][0]["reason"].startswith("data.units.output_tokens is -5")
    assert house.json("ingest files/usage.ndjson --format usage")["accepted"] == 8, "brought again, counted once"
    assert house.json("wait --caught-up --timeout 60")["caught_up"] is True
    assert quantity(house, "department", department="D012") == 120_000 + 80_000 + 3_000 + 5_000
    assert quantity(house, "department", department="D034") == 40_000 + 200_000
    assert quantity(house, "department", department=None) == 10_000
    totals = house.json("statement list 2026-10")
    assert sum(int(row["total"]) for row in totals["statements"]) == int(totals["total"])


def test_a_move_in_the_roster_attributes_again(house: House) -> None:
    (house.directory / "moved.csv").write_text("user,department,valid_from\nu-1003,D050,2026-10-06\n")
    house("ingest files/usage.ndjson --format usage")
    house("wait --caught-up --timeout 60")
    before = quantity(house, "user,department", user="u-1003", department="D034")
    assert house.json("roster import moved.csv --dry-run")["dry_run"] is True
    assert quantity(house, "user,department", user="u-1003", department="D034") == before > 0
    house("roster import moved.csv")
    assert quantity(house, "user,department", user="u-1003", department="D034") == 0
    assert quantity(house, "user,department", user="u-1003", department="D050") == before
    assert house.json("audit")["ok"] is True


def test_every_read_prints_one_document_and_csv(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json: one document and nothing else on standard output; --csv: a header and rows of its length.

    In this process, but for one of them: a process for each takes a second to import what all import.
    """
    house("invoice import files/openai-costs-2026-10.json --vendor openai --month 2026-10")
    assert isinstance(house.json(READS[0]), dict)
    monkeypatch.chdir(house.directory)
    shell = CommandShell(capsys)
    for text in READS:
        code = 6 if text.startswith("reconcile") else 0
        assert isinstance(shell.json(*text.split(), code=code), dict), text
        if text in ("doctor", "audit"):
            continue
        ended, out, said = shell.run(*text.split(), "--csv")
        assert ended == code, said
        assert len({len(row) for row in csv.reader(io.StringIO(out))}) == 1, text


def test_a_conflict_waits_in_quarantine(house: House) -> None:
    before = quantity(house, "source", source="e2e")
    house("ingest - --format usage", given=line(1))
    house("ingest - --format usage", given=line(1, units={"input_tokens": 2000, "requests": 1}))
    house("wait --caught-up --timeout 60")
    (entry,) = house.json("quarantine list --code conflict")["quarantine"]
    assert (entry["field"], entry["value"]) == ("id", "e2e-1")
    assert quantity(house, "source", source="e2e") == before + 1000
    assert house.json(f"quarantine redrive --id {entry['id']}")["redriven"] == [entry["id"]]
    house("wait --caught-up --timeout 60")
    (again,) = house.json("quarantine list --code conflict")["quarantine"]
    assert again["id"] != entry["id"], "what is still wrong comes back as a new entry"
    assert quantity(house, "source", source="e2e") == before + 1000


def test_use_without_a_price_shows(house: House) -> None:
    house("ingest - --format usage", given=line(9, model="no-such-model", provider="nobody"))
    house("wait --caught-up --timeout 60")
    (finding,) = house.json("price check", code=6)["findings"]
    assert "no-such-model" in json.dumps(finding)
    (row,) = [
        row
        for row in house.json("usage --month 2026-10")["rows"]
        if row["model"] == "no-such-model" and row["unit"] == "input_tokens"
    ]
    assert (row["cost"], row["price_status"], row["unpriced_quantity"]) == (None, "unpriced", "1000")


def test_a_second_up_is_refused(house: House) -> None:
    done = house("up", code=5)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_violated_law_ends_with_7(house: House) -> None:
    """A planted defect: somebody changes a sum by hand, and puts it right again."""
    spoil = "update usage_part set input_tokens = input_tokens + %s where ctid = {} returning ctid"
    some = "(select ctid from usage_part where input_tokens > 0 limit 1)"
    with house.owner() as connection:
        connection.execute("select roll_up_usage()")  # a worker would roll up what stands spoilt for a moment
        spoilt = connection.execute(spoil.format(some).encode(), (1,)).fetchone()
        assert spoilt is not None
        try:
            told = house.json("audit", code=7)
        finally:
            connection.execute(spoil.format("%s").encode(), (-1, spoilt[0]))
    assert told["ok"] is False
    (broken,) = [law for law in told["laws"] if law["violations"]]
    assert broken["law"] == "2-sums"
    assert "input_tokens -1" in broken["violations"][0]


def test_all_end_in_time_and_what_a_command_alone_accepts_is_kept_until_up(house: House) -> None:
    """After `up` a command starts PostgreSQL for itself and stops it; without a broker, accepted events wait."""
    before, of_ours = quantity(house, "department"), quantity(house, "source", source="e2e")
    assert len(house.family()) >= 3, "up, a worker and the publisher"
    assert house.stop() == []
    try:
        assert house.json("doctor")["running"] == {}
        assert quantity(house, "department") == before
        assert house.json("doctor")["running"] == {}
        done = house("ingest - --format usage", given=line(2) + line(3))
        assert "2 events wait in the outbox" in done.stderr
        house("wait --caught-up --timeout 1", code=3)
    finally:
        house.start()
    house("wait --caught-up --timeout 60")
    assert quantity(house, "source", source="e2e") == of_ours + 2000


def test_killed_up_leaves_no_child_and_loses_nothing(house: House) -> None:
    """Its own death: SIGKILL. Afterwards everything starts again, and what was accepted is there."""
    before = quantity(house, "source", source="e2e")
    house("ingest - --format usage", given=line(4))
    assert house.stop(signal.SIGKILL) == []
    house.start()
    house("wait --caught-up --timeout 60")
    assert quantity(house, "source", source="e2e") == before + 1000
    assert house.json("audit")["ok"] is True
