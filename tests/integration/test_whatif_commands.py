"""`jangbu whatif` as a person runs it: figures worked out by hand, what stays as it is, and what is refused."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from billing.parts import roll_up
from jangbu.database import connect
from tests.integration.command_world import CommandShell, use_database
from tests.scenarios.house import PRICE_HEADER, House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

PRICES = (
    "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01,,letter",
    "openai,gpt-x,output_tokens,,,,USD,2,1000000,2026-01-01,,letter",
    "openai,gpt-x,output_tokens,,,,USD,3,1000000,2026-10-15T03:00:00Z,,letter",
    "openai,gpt-x,input_tokens,batch,,,USD,0.125,1000000,2026-01-01,,letter",
    "openai,gpt-x,input_tokens,,,200000,USD,0.5,1000000,2026-01-01,,letter",
    "openai,gpt-mini,input_tokens,,,,USD,0.05,1000000,2026-01-01,,letter",
    "openai,gpt-mini,output_tokens,,,,USD,0.4,1000000,2026-01-01,,letter",
    "local,qwen,input_tokens,,,,KRW,0.1,1000,2026-01-01,,own",
    "local,qwen,pages,,,,KRW,3,1,2026-01-01,,own",
)


class World(House, CommandShell):
    """The house with its commands."""

    def __init__(self, urls: DatabaseUrls, capsys: pytest.CaptureFixture[str]) -> None:
        House.__init__(self, urls)
        self.urls = urls
        CommandShell.__init__(self, capsys)


@pytest.fixture
def world(
    migrated_database: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[World]:
    """October and November: two rates in October, a price that changes at noon, bands, tiers, won prices, odd units."""
    use_database(migrated_database, monkeypatch, tmp_path)
    found = World(migrated_database, capsys)
    found.prices(*PRICES)
    found.fx("2026-10-01,USD,KRW,1400.5,bank", "2026-10-14,USD,KRW,1380.25,bank")
    for day, user in (("03", "u-1"), ("14", "u-2"), ("20", "u-1")):
        when = f"2026-10-{day}T10:00:00+09:00"
        found.use(when, "D012", "gpt-x", {"input_tokens": 1_234_567, "output_tokens": 34_567, "requests": 3}, user=user)
        found.use(when, "D012", "gpt-x", {"input_tokens": 300_001}, band=200_000, user=user)
        found.use(when, "D007", "gpt-x", {"input_tokens": 77_777}, tier="batch", user="u-7")
        found.use(when, "D007", "gpt-x", {"input_tokens": 99, "requests": 1}, status="cached", user="u-7")
        found.use(when, None, "qwen", {"input_tokens": 12_345, "pages": 3}, provider="local", user="stray")
    found.use("2026-10-15T11:30:00+09:00", "D012", "gpt-x", {"output_tokens": 1_000_001}, user="u-1")
    found.use("2026-10-15T12:30:00+09:00", "D012", "gpt-x", {"output_tokens": 1_000_003}, user="u-1")
    found.use("2026-11-02T12:30:00+09:00", "D012", "gpt-x", {"output_tokens": 500_000}, user="u-1")
    yield found
    found.close()


def price_file(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "supposed.csv"
    file.write_text(PRICE_HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_same_prices_make_no_difference_and_now_is_what_statements_say(world: World, tmp_path: Path) -> None:
    found = world.json("whatif", "--months", "2026-10..2026-11", "--prices", price_file(tmp_path, *PRICES))
    everything = [*found["by_department"], *found["by_model"], *found["by_month"], found["total"]]
    names = ("difference_exact", "difference", "lost_quantity", "unknown_quantity_now")
    assert {tuple(row[name] for name in names) for row in everything} == {("0", "0", "0", "0")}
    for row in found["by_month"]:
        assert row["now_exact"] == world.json("statement", "list", row["month"])["total_exact"]
    stated = world.json("statement", "list", "2026-10")
    month = world.json("whatif", "--month", "2026-10", "--prices", price_file(tmp_path, *PRICES))
    assert [(row["department"], row["now_exact"], row["now"]) for row in month["by_department"]] == [
        (row["department"], row["total_exact"], row["total"]) for row in stated["statements"]
    ]


def test_rolled_days_and_enormous_quantities_come_to_the_same(world: World, tmp_path: Path) -> None:
    """A price of one model that changes within a rolled day; and quantities whose product with a rate has more than 64
    bits, which PostgreSQL refuses to multiply as whole numbers."""
    file = price_file(tmp_path, *PRICES, "openai,gpt-x,output_tokens,,,,USD,4,1000000,2026-10-20T05:00:00Z,,letter")
    asked = ("whatif", "--months", "2026-10..2026-11", "--prices", file)
    before = world.json(*asked), world.json("statement", "list", "2026-10")
    engine = connect(world.urls.billing)
    assert roll_up(engine, "Asia/Seoul") > 0
    engine.dispose()
    assert (world.json(*asked), world.json("statement", "list", "2026-10")) == before
    for quantity in (9 * 10**18, -9 * 10**18 + 1):
        world.use("2026-10-15T11:30:00+09:00", "D012", "gpt-x", {"output_tokens": quantity}, user="u-1")
    found = world.json(*asked)
    assert Fraction(found["by_month"][0]["now_exact"]) - Fraction(before[0]["by_month"][0]["now_exact"]) == (
        Fraction(2, 1_000_000) * Fraction("1380.25")
    )
    assert found["by_month"][0]["now_exact"] == world.json("statement", "list", "2026-10")["total_exact"]


def test_all_prices_doubled_cost_the_same_again(world: World, tmp_path: Path) -> None:
    doubled = []
    for line in PRICES:
        cells = line.split(",")
        cells[7] = str(2 * Decimal(cells[7]))
        doubled.append(",".join(cells))
    found = world.json("whatif", "--month", "2026-10", "--prices", price_file(tmp_path, *doubled))
    for row in [*found["by_department"], *found["by_model"], *found["by_month"], found["total"]]:
        assert row["difference_exact"] == row["now_exact"]
        assert Fraction(row["then_exact"]) == 2 * Fraction(row["now_exact"])
    assert found["total"]["now"] != "0"
    assert len(world.json("price", "list", "--all")["prices"]) == len(PRICES)  # nothing was written


def test_one_price_by_hand(world: World, tmp_path: Path) -> None:
    line = "openai,gpt-x,output_tokens,,,,USD,1,1000000,2026-10-10T00:00:00Z,,offer"
    found = world.json("whatif", "--month", "2026-10", "--prices", price_file(tmp_path, line))
    # Up to the 10th nothing changes; then 2 becomes 1, and from the 15th 03:00Z the book's own 3 holds again.
    saved = -(Fraction(34_567) * Fraction("1380.25") + Fraction(1_000_001) * Fraction("1380.25")) / 1_000_000
    assert Fraction(found["total"]["difference_exact"]) == saved
    assert {row["department"]: row["difference"] for row in found["by_department"]} == {
        "D007": "0",
        "D012": str(round(saved)),
        None: "0",
    }
    assert [(row["model"], row["instead"]) for row in found["by_model"]] == [("qwen", None), ("gpt-x", None)]
    for rows in (found["by_department"], found["by_model"], found["by_month"]):
        for name in ("now", "then", "difference"):
            assert sum(int(row[name]) for row in rows) == int(found["total"][name])


def test_a_model_for_another(world: World) -> None:
    found = world.json("whatif", "--month", "2026-11", "--model", "gpt-x=gpt-mini")
    assert found["scenario"]["models"] == {"openai/gpt-x": "openai/gpt-mini"}
    (row,) = found["by_model"]
    assert (row["instead"], row["now_exact"], row["then_exact"]) == ("openai/gpt-mini", "2070.375", "276.05")
    assert (row["now"], row["then"], row["difference"]) == ("2070", "276", "-1794")
    other = world.json("whatif", "--month", "2026-11", "--model", "openai/gpt-x=local/qwen")
    assert other["total"]["difference_exact"] is None  # qwen has no price for output
    assert (other["total"]["lost_quantity"], other["total"]["unknown_quantity_then"]) == ("500000", "500000")
    back = world.json("whatif", "--month", "2026-10", "--model", "qwen=gpt-mini")
    (pages,) = [row for row in back["by_model"] if row["model"] == "qwen"]
    assert (pages["instead"], pages["lost_quantity"], pages["difference"]) == ("openai/gpt-mini", "9", None)
    assert [row["difference"] for row in back["by_department"]] == ["0", "0", None]
    assert "would have no price" in world.run("whatif", "--month", "2026-10", "--model", "qwen=gpt-mini")[2]


def test_seats_for_everybody_who_used_something(world: World) -> None:
    found = world.json("whatif", "--month", "2026-10", "--seat-price", "30000")
    assert found["scenario"]["seats"] == {"2026-10": 4}
    assert {row["department"]: row["then"] for row in found["by_department"]} == {
        "D007": "30000",
        "D012": "60000",
        None: "30000",
    }
    (seats,) = [row for row in found["by_model"] if row["model"] == "seats"]
    assert (seats["then"], found["total"]["then_exact"]) == ("120000", "120000")
    assert int(found["total"]["difference"]) == 120_000 - int(found["total"]["now"])


def test_tables_and_csv_hold_the_same(world: World) -> None:
    words = ("whatif", "--month", "2026-11", "--model", "gpt-x=gpt-mini")
    code, out, _ = world.run(*words, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [(row["by"], row["name"], row["difference"]) for row in rows] == [
        ("department", "D012", "-1794"),
        ("model", "openai/gpt-x as openai/gpt-mini", "-1794"),
        ("month", "2026-11", "-1794"),
        ("total", "total", "-1794"),
    ]
    assert world.run(*words)[1].count("-1794\t-1794.325") == 6


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--month", "2026-10"), 2, "say what to suppose"),
        (("--seat-price", "1"), 2, "--month 2026-10"),
        (("--month", "2026-10", "--months", "2026-10..2026-11", "--seat-price", "1"), 2, "either"),
        (("--months", "2026-11..2026-10", "--seat-price", "1"), 2, "earlier month first"),
        (("--months", "2026-11", "--seat-price", "1"), 2, "2026-01..2026-12"),
        (("--month", "2026-10", "--seat-price", "-1"), 2, "'-1'"),
        (("--month", "2026-10", "--seat-price", "1", "--model", "gpt-x=gpt-mini"), 2, "stands alone"),
        (("--month", "2026-10", "--model", "gpt-x"), 2, "'gpt-x'"),
        (("--month", "2026-10", "--model", "gpt-9=gpt-mini"), 4, "'gpt-9'"),
        (("--month", "2026-10", "--model", "gpt-x=gpt-9"), 4, "'gpt-9'"),
        (("--month", "2026-10", "--prices", "none.csv"), 4, "'none.csv'"),
    ],
)
def test_what_cannot_be_supposed(world: World, words: tuple[str, ...], code: int, says: str) -> None:
    ended, out, err = world.run("whatif", *words)
    assert (ended, out) == (code, "")
    assert says in err


def test_a_bad_price_file_is_refused_whole(world: World, tmp_path: Path) -> None:
    bad = price_file(tmp_path, PRICES[0], PRICES[1].replace(",2,", ",free,"))
    code, _, err = world.run("whatif", "--month", "2026-10", "--prices", bad)
    assert (code, "supposed.csv, line 3, column price: 'free'" in err) == (2, True)
    longer = price_file(tmp_path, "openai,gpt-x,input_tokens,,,128000,USD,1,1000000,2026-01-01,,offer")
    code, _, err = world.run("whatif", "--month", "2026-10", "--prices", longer)
    assert (code, "128000" in err) == (2, True)
