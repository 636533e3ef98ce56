"""`plan compare` and `forecast` as a person runs them: documents, exit codes, figures worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ROSTER = "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
WON_A_TOKEN = "openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter"


class Shell(CommandShell):
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        super().__init__(capsys)
        self._directory = directory

    def bring(self, kind: str, content: str) -> None:
        """Import a file of a kind."""
        file = self._directory / f"{kind}.csv"
        file.write_text(content, encoding="utf-8")
        code, _, err = self.run(kind, "import", file)
        assert code == 0, err


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    return Shell(capsys, tmp_path)


@pytest.fixture
def october(shell: Shell, house: House) -> Shell:
    """Three people: 45,000, 30,000 and 10,000 won; 5,000 of an application; one who used nothing, one who left."""
    house.prices(WON_A_TOKEN)
    shell.bring(
        "roster",
        ROSTER
        + "".join(f"u-{number},,D001,,,2026-01-01,,\n" for number in range(1, 5))
        + "u-5,,D001,,,2026-01-01,2026-10-31,\n"
        + ",app-1,D002,,,2026-01-01,,\n",
    )
    for user, department, quantity in (
        ("u-1", "D001", 40_000),
        ("u-1", "D002", 5_000),
        ("u-2", "D001", 30_000),
        ("u-3", "D002", 10_000),
        (None, "D002", 5_000),
    ):
        house.use("2026-10-15T10:00:00+09:00", department, "gpt-x", {"input_tokens": quantity}, user=user)
    house.use("2026-11-02T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1}, user="u-4")
    return shell


def test_seats_against_use(october: Shell) -> None:
    found = october.json("plan", "compare", "--month", "2026-10", "--seat-price", "30000")
    assert {name: found[name] for name in ("month", "currency", "seats", "cheaper", "users_cheaper_on_seat")} == {
        "month": "2026-10",
        "currency": "KRW",
        "seats": {"count": 4, "price": "30000", "total": "120000", "from": "roster"},
        "cheaper": "usage",
        "users_cheaper_on_seat": 1,
    }
    assert (found["usage"]["total"], found["difference"]) == ("90000", "30000")
    assert found["break_even"] == {"per_user": "30000", "people": 2, "seat_price": "22500"}
    # u-1 on a seat: 30,000 instead of 45,000; all others as they are.
    assert (found["mixed_total"], found["mixture"]["seats"]) == ("75000", 1)
    assert found["usage"]["beside_people_exact"] == "5000"
    assert "u-1" not in json.dumps(found)


def test_seats_that_pay(october: Shell) -> None:
    found = october.json("plan", "compare", "--month", "2026-10", "--seat-price", "30000", "--seats", "2")
    assert (found["seats"]["total"], found["seats"]["from"], found["cheaper"]) == ("60000", "option", "seats")
    even = october.json("plan", "compare", "--month", "2026-10", "--seat-price", "22500")
    assert even["cheaper"] == "equal"


def test_for_whom_seats_pay(october: Shell) -> None:
    words = ("plan", "compare", "--month", "2026-10", "--seat-price", "30000", "--candidates", "2")
    secret = october.json(*words)["candidates"]
    assert secret["rows"] == [
        {"place": 1, "use_exact": "45000", "saving_exact": "15000"},
        {"place": 2, "use_exact": "30000", "saving_exact": "0"},
    ]
    assert (secret["seats_total"], secret["use_exact"], secret["total_with_them"]) == ("60000", "75000", "75000")
    shown = october.json(*words, "--show-people")["candidates"]["rows"]
    assert [(row["user"], row["department"]) for row in shown] == [("u-1", "D001"), ("u-2", "D001")]
    code, out, _ = october.run(*words, "--show-people", "--csv")
    assert (code, [row["user"] for row in csv.DictReader(io.StringIO(out))]) == (0, ["u-1", "u-2"])


def test_several_months_are_one(october: Shell, house: House) -> None:
    """u-1 used 45,000 in October and nothing in September: over both months a seat at 30,000 does not pay."""
    house.use("2026-09-15T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 20_000}, user="u-2")
    found = october.json("plan", "compare", "--months", "2026-09..2026-10", "--seat-price", "24000")
    assert found["month"] == "2026-09..2026-10"
    assert (found["seats"]["total"], found["usage"]["total"]) == ("216000", "110000")
    assert found["users_cheaper_on_seat"] == 1  # u-2: 50,000 against 48,000
    assert found["mixed_total"] == "108000"
    assert [(one["month"], one["seats"]["count"], one["users_cheaper_on_seat"]) for one in found["by_month"]] == [
        ("2026-09", 5, 0),
        ("2026-10", 4, 2),
    ]


def test_without_a_roster_people_with_use_count(shell: Shell, house: House) -> None:
    house.prices(WON_A_TOKEN)
    for user in ("u-1", "u-2"):
        house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 7}, user=user)
    house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-y", {"input_tokens": 3}, user="u-1")
    found = shell.json("plan", "compare", "--month", "2026-10", "--seat-price", "10")
    assert (found["seats"]["count"], found["seats"]["from"]) == (2, "usage")
    assert (found["usage"]["total"], found["usage"]["unknown_quantity"]) == ("14", "3")
    code, _, err = shell.run("plan", "compare", "--month", "2026-10", "--seat-price", "10")
    assert (code, "3 units have no price" in err) == (0, True)


def test_people_cost_what_their_statements_say(shell: Shell, house: House) -> None:
    """Daily rates, two prices in a month, units with and without a column, and use that moved: people and statements
    agree to the last digit."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01T00:00:00Z,,letter",
        "openai,gpt-x,input_tokens,,,,USD,0.3,1000000,2026-10-15T03:00:00Z,,letter",
        "openai,gpt-x,input_tokens,,,200000,USD,0.5,1000000,2026-01-01T00:00:00Z,,letter",
        "openai,gpt-x,pages,,,,KRW,7,10,2026-01-01T00:00:00Z,,letter",
    )
    house.fx("2026-10-01,USD,KRW,1400.5,bank", "2026-10-15,USD,KRW,1391.25,bank", "2026-10-20,USD,KRW,1402,bank")
    for day in (3, 14, 15, 16, 25):
        for hour in (1, 13):
            for user in ("u-1", "u-2", None):
                when = f"2026-10-{day:02}T{hour:02}:00:00+09:00"
                house.use(when, "D001", "gpt-x", {"input_tokens": 1234 * day + hour, "pages": day}, user=user)
                house.use(when, "D002", "gpt-x", {"input_tokens": 300_001}, user=user, band=200_000)
                house.use(when, "D002", "gpt-x", {"input_tokens": 999}, user=user, status="cached")
    house.use("2026-10-25T13:00:00+09:00", "D002", "gpt-x", {"input_tokens": -300_001}, user="u-1", band=200_000)
    listed = shell.json("statement", "list", "2026-10")
    found = shell.json("plan", "compare", "--month", "2026-10", "--seat-price", "1", "--candidates", "9")
    people = sum(Decimal(row["use_exact"]) for row in found["candidates"]["rows"])
    assert people + Decimal(found["usage"]["beside_people_exact"]) == Decimal(listed["total_exact"])
    costs = [Decimal(row["use_exact"]) for row in found["candidates"]["rows"]]
    assert costs[0] - costs[1] == 300_001 * Decimal("0.5") / 1_000_000 * 1402
    assert Decimal(found["usage"]["beside_people_exact"]) == costs[0]  # nobody's use is like u-2's


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--month"),
        (("--month", "2026-10", "--months", "2026-09..2026-10"), "--months"),
        (("--month", "2026-13"), "2026-13"),
        (("--months", "2026-10"), "2026-10"),
        (("--months", "2026-10..2026-09"), "follow"),
        (("--months", "1900-10..2026-09"), "120"),
        (("--month", "2026-10", "--seats", "-1"), "seats"),
        (("--month", "2026-10", "--candidates", "many"), "many"),
    ],
)
def test_wrong_words(shell: Shell, words: tuple[str, ...], says: str) -> None:
    code, out, err = shell.run("plan", "compare", "--seat-price", "30000", *words)
    assert (code, out, says in err) == (2, "", True)


@pytest.mark.parametrize("price", ["-1", "30,000", "cheap", "", "1e5", "NaN"])
def test_a_price_that_is_none(shell: Shell, price: str) -> None:
    code, out, err = shell.run("plan", "compare", "--month", "2026-10", "--seat-price", price)
    assert (code, out, "seat-price" in err) == (2, "", True)


def use_days(house: House, days: dict[str, int], department: str = "D001", **more: Any) -> None:
    for day, quantity in days.items():
        house.use(f"{day}T23:00:00+09:00", department, "gpt-x", {"input_tokens": quantity}, **more)


def test_a_month_as_of_a_day(shell: Shell, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of Sunday 11 October 2026: 10 days observed, of which the 3rd to the 5th and the 9th are holidays.

    Working days 1, 2, 6, 7, 8: mean 100; days off 3, 4, 5, 9, 11: mean 10; Saturday the 10th: 20. To come: working days
    12 to 16, 19 to 23, 26 to 30; Saturdays 17, 24, 31; Sundays 18, 25.
    """
    house.prices(WON_A_TOKEN)
    use_days(house, {"2026-10-01": 80, "2026-10-02": 90, "2026-10-06": 100, "2026-10-07": 110, "2026-10-08": 120})
    use_days(house, {"2026-10-03": 30, "2026-10-09": 20, "2026-10-10": 20})
    use_days(house, {"2026-10-11": 0}, "D002")
    with house.as_role("owner") as connection:
        connection.execute(text("update usage_part set requests = 1"))
    found = shell.json("forecast", "--month", "2026-10")
    assert (found["as_of"], found["finished"]) == ("2026-10-11", False)
    assert found["observed"] == {
        "first": "2026-10-01",
        "last": "2026-10-11",
        "days": {"working": 5, "saturday": 1, "off": 5},
    }
    assert found["days_to_come"] == {"working": 15, "saturday": 3, "off": 2}
    whole = found["organisation"]
    assert (whole["so_far"], whole["forecast"]) == ("570", str(570 + 15 * 100 + 3 * 20 + 2 * 10))
    assert (whole["low"], whole["high"]) == (str(570 + 15 * 80 + 3 * 20), str(570 + 15 * 120 + 3 * 20 + 2 * 30))
    assert [(one["department"], one["forecast"]) for one in found["departments"]] == [("D001", "2150"), ("D002", "0")]
    monkeypatch.setenv("JANGBU_DAYS_OFF", "2026-10-13, 2026-10-12,2026-10-08")
    more = shell.json("forecast", "--month", "2026-10")
    assert more["days_to_come"] == {"working": 13, "saturday": 3, "off": 4}
    assert more["observed"]["days"] == {"working": 4, "saturday": 1, "off": 6}
    for wrong in ("13 October", "20261013", "2026-02-30", "2026-10-13;2026-10-14"):
        monkeypatch.setenv("JANGBU_DAYS_OFF", wrong)
        code, _, err = shell.run("forecast", "--month", "2026-10")
        assert (code, repr(wrong) in err, "2026-05-01,2026-07-17" in err) == (3, True, True), err


def test_a_finished_month_is_its_total(shell: Shell, house: House) -> None:
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,3,2026-01-01T00:00:00Z,,x".replace(",1,3,", ",0.3,1,"))
    for number in range(1, 8):
        use_days(house, {"2026-10-05": number, "2026-10-20": 2 * number}, f"D{number:03}")
    use_days(house, {"2026-11-01": 1})
    found = shell.json("forecast", "--month", "2026-10")
    listed = shell.json("statement", "list", "2026-10")
    assert found["finished"] is True
    assert found["observed"] is None
    totals = [(one["department"], one["total"]) for one in listed["statements"]]
    for figure in ("so_far", "forecast", "low", "high"):
        assert [(one["department"], one[figure]) for one in found["departments"]] == totals
        assert found["organisation"][figure] == listed["total"]
    back = shell.json("forecast", "--month", "2026-10", "--as-of", "2026-10-19")
    assert (back["finished"], back["organisation"]["so_far"]) == (False, "8")


def test_today_counts_as_far_as_it_went(shell: Shell, house: House) -> None:
    """Tuesday the 13th has begun: 500 won by ten in the morning is more than the 100 that a working day costs."""
    house.prices(WON_A_TOKEN)
    use_days(house, {f"2026-10-{day:02}": 100 for day in range(1, 13)})
    before = shell.json("forecast", "--month", "2026-10")
    assert (before["as_of"], before["organisation"]["forecast"]) == ("2026-10-12", "3100")
    house.use("2026-10-13T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 40})
    little = shell.json("forecast", "--month", "2026-10")
    assert (little["as_of"], little["organisation"]["so_far"], little["organisation"]["forecast"]) == (
        "2026-10-12",
        "1240",
        "3100",
    )
    house.use("2026-10-13T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 460})
    much = shell.json("forecast", "--month", "2026-10")
    assert (much["as_of"], much["organisation"]["forecast"]) == ("2026-10-12", "3500")
    assert shell.json("forecast", "--month", "2026-10", "--as-of", "2026-10-12")["organisation"]["forecast"] == "3100"


def test_budgets_beside(shell: Shell, house: House) -> None:
    house.prices(WON_A_TOKEN)
    for department in ("D001", "D002", "D003"):
        use_days(house, {f"2026-09-{day:02}": 100 for day in range(1, 31)}, department)
        use_days(house, {f"2026-10-{day:02}": 100 for day in range(1, 13)}, department)
    shell.bring(
        "budget",
        "department,period,amount,currency\nD001,2026-10,3100,KRW\nD002,2026,6000,KRW\n,2026,40000,KRW\nD009,2026,1,KRW\n",
    )
    found = shell.json("forecast", "--month", "2026-10", "--year")
    rows = {one["department"]: one for one in found["departments"]}
    assert rows["D001"]["budget"] == {
        "period": "2026-10", "amount": "3100", "currency": "KRW", "spent": "1200", "remaining": "1900",
        "expected": "3100", "expected_remaining": "0", "state": "within",
    }  # fmt: skip
    assert rows["D002"]["budget"] == {
        "period": "2026", "amount": "6000", "currency": "KRW", "spent": "4200", "remaining": "1800",
        "expected": "6100", "expected_remaining": "-100", "state": "over",
    }  # fmt: skip
    assert rows["D003"]["budget"] is None
    assert (rows["D009"]["forecast"], rows["D009"]["budget"]["state"]) == ("0", "within")
    # September 3,000 and 122 days from October on at 100, for three departments.
    assert found["organisation"]["year"]["forecast"] == str(3 * (3000 + 92 * 100))
    assert found["organisation"]["year"]["budget"]["state"] == "within"
    assert rows["D002"]["year"]["budget"]["expected_remaining"] == str(6000 - 12_200)
    one = shell.json("forecast", "--month", "2026-10", "--department", "D002")
    assert [row["department"] for row in one["departments"]] == ["D002"]
    code, out, _ = shell.run("forecast", "--month", "2026-10", "--year", "--csv")
    assert (code, len(list(csv.DictReader(io.StringIO(out))))) == (0, 4)


def test_statements_show_the_budget_outside_of_the_hash(shell: Shell, house: House) -> None:
    house.prices(WON_A_TOKEN)
    use_days(house, {"2026-09-01": 100, "2026-10-01": 50})
    before = shell.json("statement", "show", "2026-10", "D001")
    assert before["budget"] is None
    shell.bring("budget", "department,period,amount,currency\nD001,2026,120,KRW\n")
    shell.bring("department", "department,name\nD001,예산과\n")
    after = shell.json("statement", "show", "2026-10", "D001")
    assert after["budget"] == {
        "period": "2026", "amount": "120", "currency": "KRW", "spent": "150", "remaining": "-30",
    }  # fmt: skip
    assert (after["department_name"], after["content_hash"]) == ("예산과", before["content_hash"])


def test_a_forecast_of_a_plan(shell: Shell, house: House) -> None:
    """Half of the month is used: what people use is taken up to the month's end in the same proportion."""
    house.prices(WON_A_TOKEN)
    use_days(house, {f"2026-10-{day:02}": 300 for day in range(1, 11)}, user="u-1")
    use_days(house, {f"2026-10-{day:02}": 100 for day in range(1, 11)}, user="u-2")
    words = ("plan", "compare", "--month", "2026-10", "--seat-price", "5000")
    now = shell.json(*words)
    assert (now["usage"]["total"], now["users_cheaper_on_seat"]) == ("4000", 0)
    month = shell.json(*words, "--forecast")
    assert (month["usage"]["total"], month["usage"]["forecast"]) == ("12400", True)
    assert (month["users_cheaper_on_seat"], month["mixed_total"]) == (1, "8100")


def test_nothing_to_forecast_from(shell: Shell, house: House) -> None:
    code, out, err = shell.run("forecast", "--month", "2026-10")
    assert (code, out, "no usage at all" in err) == (4, "", True)
    house.use("2026-10-13T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 40})
    code, _, err = shell.run("forecast", "--month", "2026-10")
    assert (code, "2026-10-13" in err, "--as-of" in err) == (4, True, True)
    assert shell.run("forecast", "--month", "2026-10", "--as-of", "2026-10-13")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--month", "2026-1"), 2, "'2026-1'"),
        (("--month", "2026-10", "--as-of", "today"), 2, "'today'"),
        (("--month", "2026-10", "--holidays", "XX"), 2, "'XX'"),
        (("--month", "2026-10", "--weeks", "0"), 2, "weeks"),
        (("--month", "2026-10", "--department", "D999"), 4, "'D999'"),
    ],
)
def test_wrong_words_of_a_forecast(shell: Shell, house: House, words: tuple[str, ...], code: int, says: str) -> None:
    use_days(house, {"2026-10-01": 100})
    ended, out, err = shell.run("forecast", *words)
    assert (ended, out, says in err) == (code, "", True)
