"""`jangbu explain` as a person runs it: every step of the walk, and planted disagreements that it must name."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.faults.events import NOW, chunk, event
from tests.faults.workbench import Workbench
from tests.integration.command_world import CommandShell, use_database
from tests.scenarios.house import FX_HEADER, PRICE_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

ODD = "acme/\"we'ird\"/\u202eledom=1+1"
"""A model's name with slashes, quotes, a right-to-left override and a formula."""

PLANTED_PART = """
    insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens)
    select hour, route_id, payer_id, partition, log_id, 1, 4321 from usage_part
    where input_tokens > 500000 order by hour limit 1"""


class Books(CommandShell):
    """A database with events as a worker stores them, and the commands that read it."""

    def __init__(self, urls: DatabaseUrls, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(capsys)
        self.bench = Workbench(urls)


@pytest.fixture
def books(
    migrated_database: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Books]:
    """October: 30 events of D012, some of others, agreed prices that change on the 15th at noon, two rates."""
    use_database(migrated_database, monkeypatch, tmp_path)
    (tmp_path / "list.csv").write_text(
        PRICE_HEADER
        + "openai,gpt-x*,input_tokens,,,,USD,9,1000000,2026-01-01,,list\n"
        + "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01,,letter of 2025\n"
        + "openai,gpt-x,input_tokens,batch,,,USD,0.1,1000000,2026-01-01,,letter of 2025\n"
        + "openai,gpt-x,output_tokens,,,,USD,2,1000000,2026-01-01,,letter of 2025\n",
        encoding="utf-8",
    )
    (tmp_path / "new.csv").write_text(
        PRICE_HEADER
        + "openai,gpt-x,input_tokens,,,,USD,0.5,1000000,2026-10-15T03:00:00Z,,letter of October\n",
        encoding="utf-8",
    )
    (tmp_path / "fx.csv").write_text(
        FX_HEADER + "2026-10-01,USD,KRW,1400.5,bank\n2026-10-14,USD,KRW,1380.25,bank\n", encoding="utf-8"
    )
    found = Books(migrated_database, capsys)
    for words in (("price", "import", "list.csv"), ("price", "import", "new.csv"), ("fx", "import", "fx.csv")):
        assert found.run(*words)[0] == 0
    mine = [
        event(
            f"e-{number:02}",
            time=NOW - timedelta(hours=12 * (number % 6), minutes=30, seconds=number),
            user=f"u-{number % 3}",
            units={"input_tokens": 100_003 + number, "output_tokens": 7, "requests": 1},
            department="D012",
            model="gpt-x",
        )
        for number in range(30)
    ]
    others = [
        event("o-1", units={"input_tokens": 77_777}, department="D'7\u200f/x", model="gpt-x"),
        event("o-2", units={"input_tokens": 5, "rare_pages": 3}, user="nobody-knows", model=ODD),
    ]
    found.bench.store(chunk(mine + others))
    yield found
    found.bench.close()


def test_a_statement_with_what_each_line_rests_on(books: Books) -> None:
    found = books.json("explain", "2026-10", "D012")
    shown = books.json("statement", "show", "2026-10", "D012")
    assert (found["total"], found["content_hash"], found["agrees"]) == (shown["total"], shown["content_hash"], True)
    assert all(check["agrees"] for check in found["checks"])
    lines = found["items"]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    assert [line["name"] for line in lines] == [
        "openai/gpt-x/input_tokens/P-000002",
        "openai/gpt-x/input_tokens/P-000005",
        "openai/gpt-x/output_tokens/P-000004",
        "openai/gpt-x/requests/not_billable",
    ]
    assert sum(int(line["quantity"]) for line in lines[:2]) == sum(100_003 + number for number in range(30))
    rests = [line["rests_on"] for line in lines]
    assert [rest["quantity"] for rest in rests] == [line["quantity"] for line in lines]
    assert rests[2]["hours"] == 6
    assert rests[2]["reasons"] == {"chunk": "210"}
    assert lines[0]["price_row"]["import"]["name"] == "list.csv"
    assert len(lines[1]["price_row"]["import"]["sha256"]) == 64


def test_a_line_walked_back_to_its_events(books: Books) -> None:
    found = books.json("explain", "2026-10", "D012", "openai/gpt-x/input_tokens/P-000002", "--limit", "4")
    assert found == books.json("explain", "2026-10", "D012", "1", "--limit", "4")
    item = found["item"]
    products = found["amount"]["products"]
    assert {step["rate"] for step in products} == {"1400.5", "1380.25"}
    assert sum(int(step["quantity"]) for step in products) == int(item["quantity"])
    assert found["rounding"]["item"]["exact"] == item["amount_exact"]
    assert found["rounding"]["item"]["booked"] == item["amount"]
    assert found["price"]["row"]["source"] == "letter of 2025"
    assert found["price"]["row"]["import"]["actor"].startswith("os:")
    assert {loser["price_id"]: loser["why"] for loser in found["price"]["lost"]} == {
        "P-000001": "it is for openai/gpt-x*, and P-000002 names openai/gpt-x, which is nearer",
        "P-000003": "it is for the tier batch, and the use is standard",
        "P-000005": "it begins later, at 2026-10-15T03:00Z",
    }
    assert {row["date"]: row["import"]["name"] for row in found["fx_rows"]} == {
        "2026-10-01": "fx.csv",
        "2026-10-14": "fx.csv",
    }
    hours = found["hours"]
    assert sum(int(hour["quantity"]) for hour in hours) == int(item["quantity"]) == int(found["events"]["quantity"])
    assert all(hour["quantity"] == hour["events_quantity"] for hour in hours)
    assert hours[0]["reasons"] == {"chunk": hours[0]["quantity"]}
    assert {hour["hour"]: hour["day"] for hour in hours}["2026-10-14T23:00:00Z"] == "2026-10-15"
    assert found["events"]["count"] == "25"
    first = found["events"]["rows"][0]
    assert (first["source"], first["topic"], first["partition"]) == ("gateway-1", "usage.events", 0)
    assert "user" not in first
    assert found["agrees"] is True
    assert all(check["agrees"] for check in found["checks"])


def test_pages_of_events_are_the_whole_in_order(books: Books) -> None:
    whole = books.json("explain", "2026-10", "D012", "3", "--limit", "1000")["events"]["rows"]
    assert len(whole) == 30
    assert [row["time"] for row in whole] == sorted(row["time"] for row in whole)
    pages = [books.json("explain", "2026-10", "D012", "3", "--limit", "7", "--offset", at) for at in range(0, 35, 7)]
    assert [row for page in pages for row in page["events"]["rows"]] == whole
    code, out, _ = books.run("explain", "2026-10", "D012", "3", "--csv", "--users")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [(row["id"], row["offset"]) for row in rows] == [(row["id"], str(row["offset"])) for row in whole]
    assert {row["user"] for row in rows} == {"u-0", "u-1", "u-2"}


def test_the_unattributed_and_names_that_are_odd(books: Books) -> None:
    whole = books.json("explain", "2026-10", "unattributed")
    names = [item["name"] for item in whole["items"]]
    assert names == [f"openai/{ODD}/input_tokens/unpriced", f"openai/{ODD}/rare_pages/unpriced"]
    found = books.json("explain", "2026-10", "unattributed", names[1])
    assert (found["department"], found["item"]["amount"], found["price"]["row"]) == (None, None, None)
    assert [row["id"] for row in found["events"]["rows"]] == ["o-2"]
    assert found["agrees"] is True
    odd = books.json("explain", "2026-10", "D'7\u200f/x", "openai/gpt-x/input_tokens/P-000005")
    assert odd["events"]["quantity"] == "77777"
    code, out, _ = books.run("explain", "2026-10", "unattributed", names[0])
    assert (code, "\u202e" in out, "\\u202e" in out) == (0, False, True)


def test_rounding_says_why(books: Books) -> None:
    whole = books.json("explain", "2026-10", "D012")
    amounts = [line for line in whole["items"] if line["amount_exact"] not in ("0", None)]
    ups = []
    for line in amounts:
        rounding = books.json("explain", "2026-10", "D012", line["number"])["rounding"]["item"]
        assert rounding["why"].startswith(("rounded up", "rounded down"))
        ups.append(rounding["why"].startswith("rounded up"))
        assert ups[-1] == (float(line["amount"]) > float(line["amount_exact"]))
    assert any(ups)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (PLANTED_PART, "holds 4321 more than its events"),
        ("delete from usage_event where event_id = 'e-05'", "holds 100008 more than its events"),
        ("update usage_event set input_tokens = input_tokens + 9 where event_id = 'e-05'", "holds 9 less than its"),
        ("update usage_event set prompt_tokens = prompt_tokens + 1, time = time + interval '1 hour'", "more than its"),
    ],
)
def test_a_planted_disagreement_is_named(books: Books, planted: str, said: str) -> None:
    assert books.run("explain", "2026-10", "D012", "1")[0] == 0
    books.bench.tell(planted)
    found = books.json("explain", "2026-10", "D012", "1", code=7)
    assert found["agrees"] is False
    wrong = [check for check in found["checks"] if check["agrees"] is False]
    assert any(said in check["why"] for check in wrong), wrong
    code, out, err = books.run("explain", "2026-10", "D012", "1")
    assert (code, "DISAGREES" in out, "DISAGREES" in err, said in err) == (7, True, True, True)
    assert books.run("explain", "2026-10", "D012", "1", "--csv")[0] == 7


def test_a_moved_sum_shows_its_reason(books: Books) -> None:
    """A threshold that comes later moves the longer prompts into a band of their own."""
    books.bench.tell("select add_prompt_threshold(100020)")
    found = books.json("explain", "2026-10", "D012", "1")
    reasons = [hour["reasons"] for hour in found["hours"] if "threshold" in hour["reasons"]]
    assert reasons
    assert {reason["threshold"] for reason in reasons} == {"0"}  # out of one band and into the other
    assert found["agrees"] is True


def test_a_closed_month_is_explained_as_it_was_closed(books: Books, tmp_path: Path) -> None:
    """What comes later (settings, prices, events) explains nothing away; late use waits for its correction."""
    before = books.json("explain", "2026-10", "D012", "1")
    accept = ("--accept", "unpriced,unattributed")
    assert books.run("period", "close", "2026-10", "--confirm", "2026-10", *accept)[0] == 0
    closed = books.json("explain", "2026-10", "D012", "1", "--currency", "USD")
    assert (closed["status"], closed["agrees"], closed["corrections"]) == ("closed", True, [])
    for name in ("content_hash", "item", "rounding", "hours", "fx_rows"):
        assert closed[name] == before[name], name

    line = "openai,gpt-x,input_tokens,,,,USD,0.9,1000000,2026-10-01,,later letter\n"
    (tmp_path / "later.csv").write_text(PRICE_HEADER + line, encoding="utf-8")
    assert books.run("price", "import", "later.csv")[0] == 0
    when = NOW - timedelta(hours=24)
    late = event("late", time=when, units={"input_tokens": 1_000}, department="D012", model="gpt-x")
    books.bench.store(chunk([late], first_offset=32))
    found = books.json("explain", "2026-10", "D012", "1")
    assert found["item"] == before["item"]
    assert found["price"]["lost"] == before["price"]["lost"]
    (open_check,) = [check for check in found["checks"] if check["agrees"] is None]
    assert (open_check["stated"], open_check["found"]) == ("2500450", "2501450")
    assert "1000 of events that came after the close" in open_check["why"]
    whole = books.json("explain", "2026-10", "D012")
    assert [check["agrees"] for check in whole["checks"] if "P-000002" in check["step"]] == [None]
    following = books.json("explain", "2026-11", "D012")
    assert {item["section"] for item in following["items"]} == {"adjustments"}
    repriced, one = (books.json("explain", "2026-11", "D012", item["name"]) for item in following["items"])
    assert (repriced["item"]["origin_period"], repriced["agrees"]) == ("2026-10", True)
    assert (repriced["item"]["reason"], "events" in repriced) == ("PRICE_CORRECTION", False)
    assert repriced["rests_on"]["origin_line"] == "openai/gpt-x/input_tokens/P-000002"
    assert repriced["rests_on"]["price_row"]["import"]["name"] == "list.csv"
    assert (one["item"]["reason"], one["rests_on"]["price_row"]["import"]["name"]) == ("LATE_USAGE", "later.csv")
    assert (one["item"]["quantity"], one["events"]["count"], one["events"]["quantity"]) == ("2501450", "1", "1000")
    assert [check["agrees"] for check in one["checks"] if "after the close" in check["step"]] == [None]

    books.bench.tell(PLANTED_PART)
    found = books.json("explain", "2026-10", "D012", "1", code=7)
    assert any("4321 more than its events" in check["why"] for check in found["checks"])


def test_terms_of_the_contract(books: Books, tmp_path: Path) -> None:
    """A discount on output, and a graduated tier that cuts the month's input in the same ratio for everybody."""
    header = "name,kind,provider,model,unit,origin,currency,percent,amount,per,above,valid_from,valid_to,source\n"
    (tmp_path / "terms.csv").write_text(
        header
        + "output,discount,openai,gpt-x,output_tokens,,,12.5,,,,2026-01,,annex\n"
        + "volume,graduated_tier,openai,gpt-x,input_tokens,,,50,,,1000000,2026-10,,annex\n",
        encoding="utf-8",
    )
    assert books.run("price", "terms", "import", "terms.csv")[0] == 0
    whole = books.json("explain", "2026-10", "D012")
    assert whole["agrees"] is True
    numbers = {item["name"]: item["number"] for item in whole["items"]}
    plain, cheap = "openai/gpt-x/input_tokens/P-000002", "openai/gpt-x/input_tokens/P-000002/T-000002>1000000"
    rests = {item["number"]: item["rests_on"]["shared_with"] for item in whole["items"]}
    assert (rests[numbers[plain]], rests[numbers[cheap]]) == ([numbers[cheap]], [numbers[plain]])
    tier = books.json("explain", "2026-10", "D012", cheap)
    assert (tier["item"]["unit_price"], tier["shares_hours_with"]) == ("0.000000125", [numbers[plain]])
    quantities = [int(item["quantity"]) for item in whole["items"] if item["name"] in (plain, cheap)]
    assert int(tier["events"]["quantity"]) == sum(quantities)
    (discounted,) = [item for item in whole["items"] if item["unit"] == "output_tokens"]
    found = books.json("explain", "2026-10", "D012", discounted["number"])
    assert (found["price"]["terms"][0]["percent"], found["price"]["unit_price"]) == ("12.5", "0.00000175")
    assert "its terms make the line's price" in [check["step"] for check in found["checks"]]
    out = books.run("explain", "2026-10", "D012", cheap)[1]
    assert "term T-000002 volume: graduated_tier, 50 % off 0.00000025" in out


def test_shares_of_common_costs(books: Books, tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_text(
        "rule,pool,amount,currency,basis,departments,shares,valid_from,valid_to,source\n"
        "support,fixed,100000,KRW,cost,,,2026-10,,contract\n",
        encoding="utf-8",
    )
    code, _, err = books.run("allocation", "import", "rules.csv")
    assert code == 0, err
    whole = books.json("explain", "2026-10", "D012")
    (item,) = [one for one in whole["items"] if one["section"] == "allocated"]
    assert (item["number"], item["name"], whole["agrees"]) == (5, "allocated/1", True)
    found = books.json("explain", "2026-10", "D012", "allocated/1")
    part = Fraction(100_000) * Fraction(found["rests_on"]["weight"]) / Fraction(found["rests_on"]["weight_total"])
    assert (found["rests_on"]["departments"], Fraction(found["rounding"]["item"]["exact"])) == (2, part)
    assert [check["agrees"] for check in found["checks"]] == [True] * len(found["checks"])
    assert "the shares of all departments come to the pool" in [check["step"] for check in found["checks"]]
    assert "rests on" in books.run("explain", "2026-10", "D012", "5")[1].lower()
    assert books.run("explain", "2026-10", "D012", "5", "--csv")[0] == 4  # it rests on no events of its own


def test_what_is_not_there(books: Books) -> None:
    assert books.run("explain", "2026-13", "D012")[0] == 2
    for words in (("D999",), ("D012", "99"), ("D012", "openai/gpt-x/input_tokens"), ("D012", "0")):
        code, out, err = books.run("explain", "2026-10", *words)
        assert (code, out) == (4, "")
        assert words[-1] in err
    assert books.run("explain", "2026-11", "D012")[0] == 4


def test_days_are_of_the_organisations_zone(books: Books) -> None:
    assert datetime(2026, 10, 15, 12, tzinfo=UTC) == NOW
    utc = books.json("explain", "2026-10", "D012", "1", "--timezone", "UTC")
    assert {hour["hour"]: hour["day"] for hour in utc["hours"]}["2026-10-14T23:00:00Z"] == "2026-10-14"
