"""The front door: settings on either side, exit codes, what is listed, what may reach a terminal or a spreadsheet."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from kafka.errors import KafkaConnectionError

from jangbu import __version__, errors
from jangbu.cli import COMMANDS, cli, main, settings_first
from jangbu.commands import system
from jangbu.context import Context
from jangbu.output import csv_cell, print_json, print_rows, safe_text


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of a command in this process."""
    capsys.readouterr()
    try:
        main(list(words))
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`jangbu doctor` that meets an error."""

    def make(error: BaseException) -> None:
        @click.command()
        def doctor() -> None:
            raise error

        monkeypatch.setattr(system, "doctor", doctor)

    return make


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["usage", "--month", "2026-10", "--timezone", "UTC"], ["--timezone", "UTC", "usage", "--month", "2026-10"]),
        (["usage", "--timezone=UTC", "--json"], ["--timezone=UTC", "usage", "--json"]),
        (["--data-dir", "d", "audit"], ["--data-dir", "d", "audit"]),
        (["audit", "--data-dir", "d", "--currency", "USD"], ["--data-dir", "d", "--currency", "USD", "audit"]),
        (["ingest", "--", "--config", "x"], ["ingest", "--", "--config", "x"]),
        (["audit", "--config", "c", "--", "--timezone"], ["--config", "c", "audit", "--", "--timezone"]),
        (["audit", "--data-dir"], ["--data-dir", "audit"]),
        (["audit", "--data-dirs", "d"], ["audit", "--data-dirs", "d"]),
        ([], []),
    ],
)
def test_settings_come_first(given: list[str], wanted: list[str]) -> None:
    assert settings_first(given) == wanted


def test_help_lists_the_commands_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    listed = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line[2:3].strip()]
    assert set(listed) == set(COMMANDS)


def test_every_listed_command_can_be_loaded_and_says_what_it_does() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert (command.name, bool(command.help)) == (name, True)


def test_starting_costs_little() -> None:
    """Neither Faust nor Alembic nor genai-prices is loaded before a command needs it."""
    code = (
        "import sys; from jangbu.cli import main\n"
        "try: main(['audit', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'faust', 'aiokafka', 'pandas', 'pyarrow', 'genai_prices', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"jangbu, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.JangbuError, 1),
        (errors.UsageError, 2),
        (errors.SettingsError, 3),
        (errors.NotFoundError, 4),
        (errors.RefusedByStateError, 5),
        (errors.WorkLeftError, 6),
        (errors.LawViolatedError, 7),
    ],
)
def test_an_error_is_a_sentence_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], raising: Any, kind: type[errors.JangbuError], code: int
) -> None:
    raising(kind("what, which value, what to do"))
    assert run(capsys, "doctor") == (code, "", "jangbu: what, which value, what to do\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (psycopg.OperationalError("connection refused\nmore"), 3, "the database does not answer: connection refused;"),
        (KafkaConnectionError("no brokers"), 3, "Kafka does not answer"),
        (ZeroDivisionError("division"), 1, "unexpected ZeroDivisionError: division"),
        (ValueError(), 1, "unexpected ValueError"),
        (KeyboardInterrupt(), 130, "stopped by the keyboard"),
        (click.BadParameter("not so"), 2, "not so"),
    ],
)
def test_other_errors(
    capsys: pytest.CaptureFixture[str], raising: Any, error: BaseException, code: int, said: str
) -> None:
    raising(error)
    ended, out, err = run(capsys, "doctor")
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_the_trace_is_shown_on_request(
    capsys: pytest.CaptureFixture[str], raising: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(ZeroDivisionError("division"))
    monkeypatch.setenv("JANGBU_TRACE", "1")
    with pytest.raises(ZeroDivisionError):
        run(capsys, "doctor")


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"],
        ["usage"],
        ["usage", "--month"],
        ["usage", "--month", "2026-10", "--no-such-option"],
        ["ingest", "--format", "usage"],
        ["ingest", "x", "--format", "no-such-format"],
        ["wait"],
        ["up", "--workers", "0"],
        ["wait", "--caught-up", "--timeout", "-1"],
        ["--data-dir"],
    ],
)
def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "Error" in err


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+82-2-120", "'+82-2-120"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-12.5", "-12.5"),
        ("+3", "+3"),
        ("-", "'-"),
        ("예산과", "예산과"),
        ("a=b", "a=b"),
        (Decimal("-0.00000000012"), "-0.00000000012"),
        (Decimal("1E+3"), "1000"),
        (-5, "-5"),
        (None, ""),
        ("", ""),
        (datetime(2026, 10, 1, tzinfo=UTC), "2026-10-01T00:00:00Z"),
        (date(2026, 10, 1), "2026-10-01"),
    ],
)
def test_no_cell_becomes_a_formula(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\r\nb\tc\x00", "a\\x0d\\x0ab\\x09c\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202etxt", "abc\\u202etxt"),
        ("\u2066x\u200f", "\\u2066x\\u200f"),
        ("장부 ✔", "장부 ✔"),
        (None, ""),
        (Decimal("0.10"), "0.10"),
    ],
)
def test_nothing_steers_a_terminal(value: object, text: str) -> None:
    assert safe_text(value) == text


def test_json_is_one_document_with_exact_decimals(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"amount": Decimal("1E-12"), "name": "예산과", "at": datetime(2026, 10, 1, 2, tzinfo=UTC), "none": None})
    told = json.loads(capsys.readouterr().out)
    assert told == {"amount": "0.000000000001", "name": "예산과", "at": "2026-10-01T02:00:00Z", "none": None}


def test_what_has_no_exact_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no place in output"):
        print_json({"x": object()})
    with pytest.raises(TypeError, match="float has no place in output"):
        csv_cell(0.1)


def test_rows_are_csv_or_tabs_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("=x", Decimal("1.50")), ("a,b\nc", None)]
    print_rows(("name", "amount"), rows, as_csv=True)
    assert capsys.readouterr().out == 'name,amount\n\'=x,1.50\n"a,b\nc",\n'
    print_rows(("name", "amount"), rows)
    assert capsys.readouterr().out == "name\tamount\n=x\t1.50\na,b\\x0ac\t\n"


def test_settings_of_a_command_line_are_handed_on() -> None:
    flags = {"data_dir": "d", "kafka_bootstrap": "k:1", "timezone": None}
    context = Context(flags=flags, config=Path("c.toml"), environ={}, cwd=Path())
    assert context.settings_arguments == ["--data-dir", "d", "--kafka-bootstrap", "k:1", "--config", "c.toml"]


def test_json_of_doctor_is_one_document() -> None:
    """With addresses that nobody answers: the document stands on standard output, the sentence beside it."""
    # A process of its own: kafka-python leaves the sockets of refused connections to the end of the process.
    command = [
        str(Path(sys.executable).with_name("jangbu")), "doctor", "--json", "--kafka-bootstrap", "127.0.0.1:1",
        "--database-url", "postgresql://jangbu:hunter2@127.0.0.1:1/jangbu",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert told["problems"]
    assert "hunter2" not in done.stdout + done.stderr
    settings = {row["name"]: row for row in told["settings"]}
    assert settings["database_url"]["origin"] == "flag --database-url"
