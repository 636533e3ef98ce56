"""Where a demo may stand and which month it may take; what it refuses, and that real data is never in reach."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from jangbu.cli import cli, main
from jangbu.demo.place import MARKER, Place, check_place, demo_settings, occupied
from jangbu.demo.run import check_month, last_month
from jangbu.demo.running import Commands
from jangbu.errors import JangbuError, RefusedByStateError, UsageError

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def make_empty(place: Place) -> None:
    """Take the place and leave it again."""
    with occupied(place):
        pass


def test_a_new_directory_is_made_and_marked(tmp_path: Path) -> None:
    place = check_place(tmp_path / "a" / "b", tmp_path / ".jangbu")
    assert not place.root.exists(), "looking changes nothing"
    make_empty(place)
    assert (place.root / MARKER).is_file()
    assert sorted(part.name for part in place.root.iterdir() if part.is_dir()) == ["in", "log", "out"]


def test_what_a_demo_made_is_emptied_and_no_more(tmp_path: Path) -> None:
    place = check_place(tmp_path / "demo", tmp_path / ".jangbu")
    make_empty(place)
    (place.inputs / "old").write_text("old")
    (place.root / "notes.txt").write_text("mine")
    make_empty(check_place(place.root, tmp_path / ".jangbu"))
    assert not (place.inputs / "old").exists()
    assert (place.root / "notes.txt").read_text() == "mine"


def test_a_link_is_cut_and_not_followed(tmp_path: Path) -> None:
    place = check_place(tmp_path / "demo", tmp_path / ".jangbu")
    make_empty(place)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    place.data.symlink_to(elsewhere)
    make_empty(place)
    assert not place.data.exists()
    assert (elsewhere / "precious").exists()


def test_two_demos_do_not_share_a_place(tmp_path: Path) -> None:
    place = check_place(tmp_path / "demo", tmp_path / ".jangbu")
    with occupied(place):
        (place.inputs / "fresh").write_text("x")
        with pytest.raises(RefusedByStateError, match="another demo runs"):
            make_empty(place)
        assert (place.inputs / "fresh").exists()
    make_empty(place)


def test_a_place_where_something_of_ours_runs_is_not_emptied(tmp_path: Path) -> None:
    from jangbu.services.state import MemberEntry, StateFile, entry_of

    place = check_place(tmp_path / "demo", tmp_path / ".jangbu")
    make_empty(place)
    settings = demo_settings(place)
    settings.data_dir.mkdir()
    member = MemberEntry(**entry_of(os.getpid()), id="1", command="jangbu up", needs=["postgres"])
    with StateFile(settings.run_directory).locked() as state:
        state["members"].append(member)
    with pytest.raises(RefusedByStateError, match=rf"`jangbu up` runs in .*process {os.getpid()}"):
        make_empty(place)
    assert settings.data_dir.exists()


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("x")
    with pytest.raises(RefusedByStateError, match="no demo has made"):
        check_place(tmp_path / "work", tmp_path / ".jangbu")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="which is a file"):
        check_place(tmp_path / "file", tmp_path / ".jangbu")


@pytest.mark.parametrize("inside", [".", "demo", "../.jangbu"])
def test_real_data_is_never_touched(tmp_path: Path, inside: str) -> None:
    real = tmp_path / ".jangbu"
    real.mkdir()
    (real / MARKER).write_text("even if somebody marked it")
    with pytest.raises(UsageError, match="real data"):
        check_place(real / inside, real)


def test_an_empty_directory_may_be_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert check_place(tmp_path / "empty", tmp_path / ".jangbu").root == tmp_path / "empty"


@pytest.mark.parametrize("month", ["2026-10", "2026-01", "2025-11"])
def test_a_month_that_has_ended_is_taken(month: str) -> None:
    check_month(month, NOW)


@pytest.mark.parametrize(
    ("month", "said"),
    [
        ("2026-11", "has not ended: name an earlier one, such as 2026-10"),
        ("2027-01", "has not ended"),
        ("2025-10", "more than 400 days ago"),
        ("2026-13", "write YYYY-MM"),
        ("October", "write YYYY-MM"),
    ],
)
def test_a_month_out_of_reach_is_refused(month: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_month(month, NOW)


def test_a_month_ends_in_utc_too() -> None:
    """On the first of November it is over in Seoul and goes on in UTC, where the vendor bills, until 09:00 KST."""
    before, after = (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(UsageError, match="2026-09"):
        check_month("2026-10", before)
    check_month("2026-10", after)
    assert (last_month(before), last_month(after)) == ("2026-09", "2026-10")


def test_the_oldest_month_is_within_what_events_may_be() -> None:
    first = datetime(2026, 9, 30, 15, tzinfo=UTC)
    check_month("2026-10", first + timedelta(days=399))
    with pytest.raises(UsageError):
        check_month("2026-10", first + timedelta(days=400))


@pytest.mark.parametrize(
    "flags",
    [
        ["--database-url", "postgresql://u@h/d"],
        ["--kafka-bootstrap", "h:9092"],
        ["--data-dir", "x"],
        ["--timezone", "UTC"],
    ],
)
def test_settings_of_real_use_are_refused(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--dir", str(tmp_path / "demo"), *flags])
    assert ended.value.code == 2
    assert "is for real use" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    "wrong",
    [["--users", "0"], ["--events", "-1"], ["--seed", "x"], ["--lang", "fr"], ["--month", "2026-1"], ["--served"]],
)
def test_wrong_options_are_refused(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--dir", str(tmp_path / "demo"), *wrong])
    assert ended.value.code == 2
    assert not (tmp_path / "demo").exists()


def test_help_names_its_options() -> None:
    told = CliRunner().invoke(cli, ["demo", "--help"]).output
    for option in ("--dir", "--month", "--users", "--events", "--seed", "--lang", "--serve", "--no-serve", "--json"):
        assert option in told


def test_commands_see_no_setting_of_the_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo can never reach a database or a broker of real use."""
    monkeypatch.setenv("JANGBU_DATABASE_URL", "postgresql://real@production/jangbu")
    monkeypatch.setenv("JANGBU_KAFKA_BOOTSTRAP", "production:9092")
    monkeypatch.setenv("JANGBU_CURRENCY", "wrong")
    (tmp_path / "jangbu.toml").write_text('database_url = "postgresql://real@production/jangbu"\n')
    monkeypatch.chdir(tmp_path)
    place = check_place(tmp_path / "demo", tmp_path / ".jangbu")
    make_empty(place)
    settings = demo_settings(place)
    assert (settings.database_url, settings.kafka_bootstrap, settings.currency) == (None, None, "KRW")
    assert settings.data_dir == place.data
    told = Commands(place).json("doctor", codes=(0, 3))
    shown = {one["name"]: one for one in told["settings"]}
    assert shown["database_url"]["origin"] == "default"
    assert shown["kafka_bootstrap"]["origin"] == "default"
    assert shown["data_dir"]["value"] == str(place.data)


def test_a_command_that_fails_is_told_with_its_own_words(tmp_path: Path) -> None:
    place = check_place(tmp_path / "demo", tmp_path / ".jangbu")
    make_empty(place)
    with pytest.raises(JangbuError, match=r"`jangbu usage` of the demo ended with exit code 2: .*month.*commands\.log"):
        Commands(place).json("usage", "--month", "x")
    assert os.environ.get("PYTHONPATH", "") != str(place.root)
