"""Malformed, hostile and extreme input at every way in, each with the answer it gets (docs/events.md).

Events: the corpus of `tests/faults/poison.py`, which the tests of the sink and `make faults` put into Kafka, comes here
through `jangbu ingest`. Files that people bring, settings and arguments have their own tables below.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from jangbu.cli import main
from jangbu.commands import ingest as ingest_command
from producers.contract import EVENT_BYTES_MAX
from tests.faults.events import NOW_MS, event, raw
from tests.faults.poison import CORPUS, HARMLESS, Poison
from tests.integration.command_world import use_database

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls

BLANK = ("null value", "empty value", "blank")
"""Poison that is no line of a file: blank lines are passed over."""
AT_THE_DOOR = [poison for poison in CORPUS if poison.name not in BLANK]


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Door:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> Answer:
        self._capsys.readouterr()
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        answer = Answer(code, *self._capsys.readouterr())
        assert "Traceback" not in answer.err
        assert "unexpected" not in answer.err
        return answer


@pytest.fixture
def door(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """An empty directory; lines are accepted at the moment around which the corpus was made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ingest_command, "now_ms", lambda: NOW_MS)
    return Door(capsys)


@pytest.fixture
def books(door: Door, migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """The same with a database."""
    use_database(migrated_database, monkeypatch, tmp_path)
    return door


def ingested(door: Door, lines: list[bytes], *options: str) -> Any:
    """The report of `ingest` over lines."""
    Path("lines.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    answer = door("ingest", "lines.ndjson", "--json", *(options or ("--format", "usage")))
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_every_poison_is_refused_by_name_and_everything_is_accounted_for(door: Door) -> None:
    """One file of all of them between good lines: a refused line stops nothing."""
    lines = []
    for number, poison in enumerate(AT_THE_DOOR):
        assert poison.value is not None
        lines += [poison.value, raw(event(f"good-{number}"))]
    report = ingested(door, [*lines, *HARMLESS])
    assert (report["accepted"], report["rejected"]) == (len(AT_THE_DOOR) + len(HARMLESS), len(AT_THE_DOOR))
    by_line = {rejection["line"]: rejection for rejection in report["rejections"]}
    assert sorted(by_line) == [1 + 2 * number for number in range(len(AT_THE_DOOR))]
    wrong = [
        (poison.name, rejection)
        for number, poison in enumerate(AT_THE_DOOR)
        for rejection in [by_line[1 + 2 * number]]
        if not as_promised(poison, rejection)
    ]
    assert not wrong


def as_promised(poison: Poison, rejection: dict[str, Any]) -> bool:
    """Code and field exactly, the value as a part of the sentence; and the sentence can be shown anywhere."""
    reason = rejection["reason"]
    shown = poison.shown in reason or poison.code in ("malformed", "oversized")  # what cannot be read is not shown
    named = reason.startswith(poison.field) or poison.field == "event"
    return (not poison.code or poison.code == rejection["code"]) and named and shown and reason.isprintable()


def test_refused_lines_are_kept_for_their_owner_alone(door: Door) -> None:
    lines = [poison.value for poison in AT_THE_DOOR if poison.value is not None]
    report = ingested(door, lines)
    kept = Path(report["rejects"])
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [json.loads(line)["line"] for line in kept.read_text().splitlines()] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("options", [("--format", "response"), ("--format", "litellm", "--source", "g")])
def test_no_poison_passes_for_another_format_or_stops_it(door: Door, options: tuple[str, ...]) -> None:
    lines = [poison.value for poison in AT_THE_DOOR if poison.value is not None]
    report = ingested(door, lines, *options)
    assert (report["accepted"], report["rejected"]) == (0, len(lines))
    assert all(rejection["reason"].isprintable() for rejection in report["rejections"])


def test_files_that_are_no_lines(door: Door) -> None:
    """Nothing, noise, one endless line, no line end at the end, Windows line ends, a byte order mark."""
    good = raw(event("one"))
    wholes = {
        b"": (0, 0),
        b"\n\n \n": (0, 0),
        bytes(range(256)) * 64: (0, None),
        b"x" * (3 * EVENT_BYTES_MAX): (0, 1),
        good: (1, 0),
        good + b"\r\n" + good + b"\r\n": (2, 0),
    }
    for number, (whole, (accepted, rejected)) in enumerate(wholes.items()):
        Path(f"{number}.ndjson").write_bytes(whole)
        answer = door("ingest", f"{number}.ndjson", "--format", "usage", "--json")
        report = json.loads(answer.out)
        assert (answer.code, report["accepted"]) == (0, accepted), whole[:40]
        assert rejected is None or report["rejected"] == rejected, whole[:40]


SETTINGS = [
    ("JANGBU_TIMEZONE", "Mars/Olympus", ["timezone", "'Mars/Olympus'", "environment JANGBU_TIMEZONE", "Asia/Seoul"]),
    ("JANGBU_TIMEZONE", "Asia/Kolkata", ["timezone", "'Asia/Kolkata'", "+5.5 hours", "whole hours"]),
    ("JANGBU_TIMEZONE", "../../etc/passwd", ["timezone", "write a name such as Asia/Seoul"]),
    ("JANGBU_CURRENCY", "won", ["currency", "'won'", "three capital letters"]),
    ("JANGBU_CURRENCY", "₩", ["currency", "three capital letters"]),
    ("JANGBU_PORT", "0", ["port", "'0'", "from 1 to 65535"]),
    ("JANGBU_PORT", "८०८०", ["port", "from 1 to 65535"]),
    ("JANGBU_PORT", "9" * 400, ["port", "from 1 to 65535"]),
    ("JANGBU_KAFKA_BOOTSTRAP", "kafka", ["kafka_bootstrap", "'kafka'", "host:port"]),
    ("JANGBU_KAFKA_BOOTSTRAP", "kafka:99999", ["kafka_bootstrap", "host:port"]),
    ("JANGBU_DATABASE_URL", "mysql://u:hunter2hunter2@h/db", ["database_url", "postgresql://user:password@host"]),
    ("JANGBU_DATABASE_URL", "postgresql://u:hunter2hunter2@h:x/db", ["database_url", "wrong port"]),
    ("JANGBU_DATABASE_URL", "postgresql://h", ["database_url", "names no database"]),
    ("JANGBU_TOKEN", "short", ["token", "(not shown)", "16 visible"]),
    ("JANGBU_SOURCE", "a\nb", ["source", "printable"]),
    ("JANGBU_URL", "gateway", ["url", "'gateway'", "http://host:port"]),
    ("JANGBU_TOPIC", "no spaces", ["topic", "'no spaces'", "letters, digits"]),
    ("JANGBU_PARTITIONS", "0", ["partitions", "'0'", "from 1 to"]),
    ("JANGBU_RETENTION_MS", "-2", ["retention_ms", "'-2'", "from -1 to"]),
    ("JANGBU_MAX_EVENT_AHEAD_SECONDS", "1e3", ["max_event_ahead_seconds", "'1e3'", "whole number"]),
    ("JANGBU_MAX_EVENT_BACK_DAYS", "1_000", ["max_event_back_days", "'1_000'", "whole number"]),
    ("JANGBU_GATEWAY_DEPARTMENT_FROM", "a b", ["gateway_department_from", "'a b'", "name of a field"]),
    ("JANGBU_DATA_DIR", "  ", ["data_dir", "name a directory"]),
    ("JANGBU_CONFIG", "no-such.toml", ["no-such.toml", "does not exist", "--config"]),
]


@pytest.mark.parametrize(("variable", "value", "said"), SETTINGS, ids=[f"{row[0]}={row[1][:20]}" for row in SETTINGS])
def test_a_bad_setting_is_one_sentence_and_exit_3(
    door: Door, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    answer = door("doctor")
    assert (answer.code, answer.out) == (3, "")
    assert len(answer.err.splitlines()) == 1
    assert [words for words in said if words not in answer.err] == []
    assert "hunter2" not in answer.err


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("timezone = Asia/Seoul", "not readable as TOML"),
        ("tiemzone = 'UTC'", "did you mean timezone?"),
        ("port = true", "neither a text nor a whole number"),
        ("port = 80.5", "neither a text nor a whole number"),
        ("currency = ['KRW']", "neither a text nor a whole number"),
        ("[gateway]\ndepartment_form = 'x'", "did you mean gateway_department_from?"),
        ("currency = 'won'", "from jangbu.toml"),
    ],
)
def test_a_bad_settings_file_is_named(door: Door, toml: str, said: str) -> None:
    Path("jangbu.toml").write_text(toml)
    answer = door("doctor")
    assert (answer.code, answer.out) == (3, "")
    assert "jangbu.toml" in answer.err
    assert said in answer.err


ROSTER = "user,key,department,valid_from,valid_to\n"
PRICES = "provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source\n"
RATES = "date,base,quote,rate,source\n"
VENDORS = "vendor,creditor,providers,zone,currency,tax_mode,tax_rate,fx_policy,settle_days\n"
GOOD = {
    "roster": "good,,D9,2026-01-01,\n",
    "price": "openai,good,input_tokens,,,,USD,1,1,2026-01-01,,x\n",
    "fx": "2026-10-02,USD,KRW,1391.4,good\n",
    "vendor": "good,Good,anthropic,UTC,USD,none,0,usage_day,2\n",
}
FILES = [
    ("roster", "", ["bad.csv"]),
    ("roster", "user,departement\nu,D1\n", ["bad.csv", "departement"]),
    ("roster", ROSTER + "u,,,2026-01-01,\n", ["line 2", "department"]),
    ("roster", ROSTER + ",,D1,2026-01-01,\n", ["line 2", "user"]),
    ("roster", ROSTER + "u,,D1,2026-13-01,\n", ["line 2", "valid_from", "2026-13-01"]),
    ("roster", ROSTER + "u,,D1,2026-02-01,2026-01-01\n", ["line 2", "valid_to", "2026-01-01"]),
    ("roster", ROSTER + "u,,D1,2026-01-01,\nu,,D2,2026-01-01,\n", ["line 3", "line 2", "keep one"]),
    ("roster", ROSTER + "u,,D1,2026-01-01\n", ["line 2"]),
    ("price", PRICES + "openai,m,input_tokens,,,,USD,1 USD,1000000,2026-01-01,,x\n", ["line 2", "price", "1 USD"]),
    ("price", PRICES + 'openai,m,input_tokens,,,,USD,"0,25",1000000,2026-01-01,,x\n', ["line 2", "price", "0,25"]),
    ("price", PRICES + "openai,m,input_tokens,,,,USD,-1,1000000,2026-01-01,,x\n", ["line 2", "price", "-1"]),
    ("price", PRICES + "openai,m,input_tokens,,,,USD,NaN,1000000,2026-01-01,,x\n", ["line 2", "price", "NaN"]),
    ("price", PRICES + "openai,m,input_tokens,,,,USD,1e400,1000000,2026-01-01,,x\n", ["line 2", "price", "1e400"]),
    ("price", PRICES + "openai,m,input_tokens,,,,usd,1,1000000,2026-01-01,,x\n", ["line 2", "currency", "usd"]),
    ("price", PRICES + "openai,m,Input,,,,USD,1,1000000,2026-01-01,,x\n", ["line 2", "unit", "Input"]),
    ("price", PRICES + "openai,m,input_tokens,,,,USD,1,0,2026-01-01,,x\n", ["line 2", "per", "0"]),
    ("price", PRICES + "openai,m,input_tokens,,,,USD,1,1,2026-01-01T00:30:00Z,,x\n", ["line 2", "valid_from", "00:30"]),
    ("fx", RATES + "2026-10-01,USD,KRW,1391,4,x\n", ["line 2"]),
    ("fx", RATES + "2026-10-01,USD,KRW,0,x\n", ["line 2", "rate", "0"]),
    ("fx", RATES + "2026-10-01,USD,USD,1,x\n", ["line 2", "USD"]),
    ("fx", RATES + "01/10/2026,USD,KRW,1391.4,x\n", ["line 2", "date", "01/10/2026"]),
    ("vendor", VENDORS + "acme,Acme,openai,Mars/Olympus,USD,none,0,usage_day,2\n", ["line 2", "zone", "Mars/Olympus"]),
    ("vendor", VENDORS + "acme,Acme,openai,UTC,USD,some,0,usage_day,2\n", ["line 2", "tax_mode", "some"]),
]


@pytest.mark.parametrize(("kind", "text", "said"), FILES)
def test_a_bad_file_is_refused_whole_by_line_and_column(books: Door, kind: str, text: str, said: list[str]) -> None:
    """A good row stands behind the bad one: it must not get in."""
    Path("bad.csv").write_text(text + GOOD[kind])
    answer = books(kind, "import", "bad.csv", "--yes")
    assert (answer.code, answer.out) == (2, "")
    assert [words for words in ["bad.csv", *said] if words not in answer.err] == []
    listed = json.loads(books(kind, "list", "--json").out)
    assert "good" not in str(listed)


@pytest.mark.parametrize(
    ("kind", "header"), [("roster", ROSTER), ("price", PRICES), ("fx", RATES), ("vendor", VENDORS)]
)
def test_the_good_rows_are_good(books: Door, kind: str, header: str) -> None:
    """Otherwise the refusals above would prove nothing; --dry-run writes nothing all the same."""
    Path("good.csv").write_text(header + GOOD[kind])
    assert books(kind, "import", "good.csv", "--dry-run").code == 0
    assert "good" not in books(kind, "list", "--json").out
    assert books(kind, "import", "good.csv", "--yes").code == 0
    assert "good" in books(kind, "list", "--json").out


@pytest.mark.parametrize(
    "raw_bytes", [b"\xff\xfe\x00", b"user,department\nu,\x00\n", "user,department\nu,예산\n".encode("cp949")]
)
def test_a_file_that_is_no_utf8_text_is_refused(books: Door, raw_bytes: bytes) -> None:
    Path("bad.csv").write_bytes(raw_bytes)
    answer = books("roster", "import", "bad.csv", "--yes")
    assert answer.code == 2
    assert "bad.csv" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "bad"),
        ("{}", "bad"),
        ("[" * 100_000, "bad"),
        ('{"object":"page","data":[{"object":"bucket"}],"has_more":false,"next_page":null}', "bad"),
        ("Date,Amount\n2026-10-01,=1+1\n", "bad"),
    ],
)
def test_a_bad_invoice_is_refused_whole(books: Door, text: str, said: str) -> None:
    Path("bad").write_text(text)
    answer = books("invoice", "import", "bad", "--vendor", "openai", "--month", "2026-10", "--yes")
    assert answer.code in (2, 5)
    assert said in answer.err
    assert [rows for rows in json.loads(books("invoice", "list", "--json").out).values() if rows] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("usage", "--month", "2026-13"), 2, "2026-13"),
        (("usage", "--month", "October"), 2, "October"),
        (("usage", "--month", "2026-10", "--by", "colour"), 2, "colour"),
        (("usage", "--month", "2026-10", "--timezone", "Asia/Kathmandu"), 3, "whole hours"),
        (("statement", "show", "2026-10", "no-such-department"), 4, "no-such-department"),
        (("statement", "list", "0000-00"), 2, "0000-00"),
        (("reconcile", "--vendor", "nobody", "--month", "2026-10"), 4, "nobody"),
        (("reconcile", "--vendor", "openai", "--month", "2026-1"), 2, "2026-1"),
        (("invoice", "import", "no-such-file", "--vendor", "openai", "--month", "2026-10"), 4, "no-such-file"),
        (("roster", "import", "no-such-file"), 4, "no-such-file"),
        (("quarantine", "redrive", "--id", "999"), 4, "999"),
        (("quarantine", "list", "--state", "lost"), 2, "lost"),
        (("ingest", "no-such-file", "--format", "usage"), 4, "no-such-file"),
        (("ingest", ".", "--format", "usage"), 2, "directory"),
        (("demo", "--dir", ".jangbu"), 2, ".jangbu"),
        (("demo", "--month", "2031-01"), 2, "2031-01"),
    ],
)
def test_a_bad_argument_is_named(books: Door, words: tuple[str, ...], code: int, said: str) -> None:
    answer = books(*words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_a_database_without_tables_says_what_to_do(
    door: Door, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANGBU_DATABASE_URL", database.owner)
    answer = door("usage", "--month", "2026-10")
    assert (answer.code, answer.out) == (3, "")
    assert "run `jangbu migrate`" in answer.err


def test_a_database_that_is_away_says_so(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANGBU_DATABASE_URL", "postgresql://jangbu:hunter2hunter2@127.0.0.1:1/jangbu")
    answer = door("usage", "--month", "2026-10")
    assert (answer.code, answer.out) == (3, "")
    assert "JANGBU_DATABASE_URL" in answer.err
    assert "hunter2" not in answer.err
