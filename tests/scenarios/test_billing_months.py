"""Month stories: given usage, prices and rates; when the month is billed; then these figures, exactly.

The figures are worked out by hand beside each assertion, not by the code under test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.laws import rounding_of

if TYPE_CHECKING:
    from tests.scenarios.house import House


def test_price_change_at_noon_in_seoul(house: House) -> None:
    """A price that changes at 12:00 KST on the 15th divides the day, to the hour."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,KRW,1000,1000000,2026-01-01T00:00:00Z,,list",
        "openai,gpt-x,input_tokens,,,,KRW,3000,1000000,2026-10-15T12:00:00+09:00,,letter of 1 October",
    )
    house.use("2026-10-15T11:59:00+09:00", "D001", "gpt-x", {"input_tokens": 1_000_000})
    house.use("2026-10-15T12:00:00+09:00", "D001", "gpt-x", {"input_tokens": 2_000_000})
    statement = house.statement("2026-10", "D001")
    assert [
        (line["price_id"], line["quantity"], line["unit_price"], line["amount"]) for line in statement["lines"]
    ] == [
        ("P-000001", "1000000", "0.001", "1000"),
        ("P-000002", "2000000", "0.003", "6000"),
    ]
    assert statement["total"] == "7000"
    days = house.usage("2026-10", "day", "model", "unit")
    assert [(row["day"], row["quantity"], row["cost"]) for row in days] == [("2026-10-15", "3000000", "7000")]


def test_cliff_at_200_000_tokens(house: House) -> None:
    """All tokens of a request above the threshold cost the higher price; exactly at it, the lower."""
    house.prices(
        "google,gem,input_tokens,,,,KRW,1,1000,2026-01-01T00:00:00Z,,list",
        "google,gem,input_tokens,,,200000,KRW,2,1000,2026-01-01T00:00:00Z,,list",
        "google,gem,output_tokens,,,,KRW,10,1000,2026-01-01T00:00:00Z,,list",
        "google,gem,output_tokens,,,200000,KRW,15,1000,2026-01-01T00:00:00Z,,list",
    )
    with house.as_role("owner") as connection:
        assert connection.exec_driver_sql("select prompt_band(200000), prompt_band(200001)").one() == (0, 200_000)
    house.use(
        "2026-10-03T10:00:00+09:00", "D001", "gem", {"input_tokens": 200_000, "output_tokens": 1000}, provider="google"
    )
    house.use(
        "2026-10-03T10:00:00+09:00",
        "D002",
        "gem",
        {"input_tokens": 200_001, "output_tokens": 1000},
        provider="google",
        band=200_000,
    )
    assert house.statement("2026-10", "D001")["total"] == "210"  # 200 + 10
    long = house.statement("2026-10", "D002")
    assert long["total_exact"] == "415.002"  # 400.002 + 15
    assert long["total"] == "415"


def test_a_band_above_the_rows_threshold_still_takes_it(house: House) -> None:
    """The band is the largest threshold of any price: a row with a smaller one prices it too."""
    house.prices(
        "google,gem,input_tokens,,,,KRW,1,1000,2026-01-01T00:00:00Z,,list",
        "google,gem,input_tokens,,,128000,KRW,2,1000,2026-01-01T00:00:00Z,,list",
        "google,other,input_tokens,,,200000,KRW,9,1000,2026-01-01T00:00:00Z,,list",
    )
    house.use("2026-10-03T10:00:00+09:00", "D001", "gem", {"input_tokens": 300_000}, provider="google", band=200_000)
    assert house.statement("2026-10", "D001")["total"] == "600"


def test_the_month_ends_at_midnight_in_seoul(house: House) -> None:
    """15:00 UTC on the last day is next month's; an hour before is this month's."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,list")
    for moment, quantity in (
        ("2026-09-30T14:00:00Z", 1),
        ("2026-09-30T15:00:00Z", 10),
        ("2026-10-31T14:00:00Z", 100),
        ("2026-10-31T15:00:00Z", 1000),
    ):
        house.use(moment, "D001", "gpt-x", {"input_tokens": quantity})
    assert house.totals("2026-09")["*"] == "1"
    assert house.totals("2026-10")["*"] == "110"
    assert house.totals("2026-11")["*"] == "1000"


def test_unpriced_use_shows_and_is_never_zero(house: House) -> None:
    """A model without a price, and a cache unit without a row, stand on the statement without an amount."""
    house.prices("openai,gpt-x,input_tokens,,,,USD,1,1000000,2026-01-01T00:00:00Z,,list")
    house.fx("2026-10-01,USD,KRW,1400,bank")
    units = {"input_tokens": 1_000_000, "cache_read_tokens": 500, "requests": 3}
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", units)
    house.use("2026-10-03T10:00:00+09:00", "D001", "unheard-of", {"input_tokens": 77, "requests": 1})
    statement = house.statement("2026-10", "D001")
    lines = {(line["model"], line["unit"]): line for line in statement["lines"]}
    assert lines["gpt-x", "cache_read_tokens"]["amount"] is None
    assert lines["gpt-x", "cache_read_tokens"]["price_status"] == "unpriced"
    assert lines["unheard-of", "input_tokens"]["amount_exact"] is None
    assert lines["gpt-x", "requests"]["price_status"] == "not_billable"
    assert statement["unpriced_quantity"] == "577"
    assert statement["total"] == "1400"
    by_unit = {(row["model"], row["unit"]): row for row in house.usage("2026-10")}
    assert by_unit["unheard-of", "input_tokens"] == {
        "department": "D001",
        "model": "unheard-of",
        "unit": "input_tokens",
        "quantity": "77",
        "cost": None,
        "currency": None,
        "price_status": "unpriced",
        "unpriced_quantity": "77",
    }
    (department,) = house.usage("2026-10", "department")
    assert (department["cost"], department["currency"], department["quantity"]) == (None, "USD", None)
    assert department["unpriced_quantity"] == "577"


def test_rates_of_a_holiday_and_of_the_organisations_day(house: House) -> None:
    """A day without a rate takes the last one before it; the day is Seoul's, not UTC's."""
    house.prices("openai,gpt-x,input_tokens,,,,USD,1,1000000,2026-01-01T00:00:00Z,,list")
    house.fx("2026-10-02,USD,KRW,1400.5,bank", "2026-10-05,USD,KRW,1410,bank")
    million = {"input_tokens": 1_000_000}
    house.use("2026-10-02T23:00:00+09:00", "D001", "gpt-x", million)
    house.use("2026-10-04T14:00:00Z", "D001", "gpt-x", million)  # 23:00 on the 4th in Seoul, a Sunday: Friday's rate
    house.use("2026-10-04T15:00:00Z", "D001", "gpt-x", million)  # 00:00 on the 5th in Seoul: Monday's
    (line,) = house.statement("2026-10", "D001")["lines"]
    assert line["fx_rate"] is None
    assert line["fx_rows"] == [
        {"date": "2026-10-02", "rate": "1400.5", "source": "bank", "quantity": "2000000"},
        {"date": "2026-10-05", "rate": "1410", "source": "bank", "quantity": "1000000"},
    ]
    assert line["amount_exact"] == "4211"  # 1400.5 + 1400.5 + 1410


def test_without_a_rate_before_it_use_stays_unconverted(house: House) -> None:
    """The days before the first rate have no amount in won; the days after have."""
    house.prices("openai,gpt-x,input_tokens,,,,USD,1,1000000,2026-01-01T00:00:00Z,,list")
    house.fx("2026-10-12,USD,KRW,1400,bank", "2026-10-01,EUR,KRW,1600,bank", "2026-10-01,KRW,USD,0.0007,bank")
    house.use("2026-10-11T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 5_000_000})
    house.use("2026-10-12T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1_000_000})
    statement = house.statement("2026-10", "D001")
    assert [
        (line["price_status"], line["quantity"], line["amount"], line["fx_rate"]) for line in statement["lines"]
    ] == [
        ("priced", "1000000", "1400", "1400"),
        ("unconverted", "5000000", None, None),
    ]
    assert (statement["total"], statement["unconverted_quantity"]) == ("1400", "5000000")
    (row,) = house.usage("2026-10", "model")
    assert (row["cost"], row["currency"]) == ("6", "USD")  # usage speaks the price's currency: nothing is missing there


def test_three_departments_share_a_won(house: House) -> None:
    """1/3 won thrice is one won: rounded once, at the top; the tie goes to the lowest code."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,0.3333,1,2026-01-01T00:00:00Z,,list")
    for department in ("D003", "D001", "D002"):
        house.use("2026-10-03T10:00:00+09:00", department, "gpt-x", {"input_tokens": 1})
    assert house.totals("2026-10") == {"D001": "1", "D002": "0", "D003": "0", "*": "1"}
    assert rounding_of(house.month("2026-10")).violations == ()


def test_unattributed_use_has_its_statement(house: House) -> None:
    """Use that nobody is known for is a statement of its own, last, and part of the organisation's total."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,list")
    house.use("2026-10-03T10:00:00+09:00", None, "gpt-x", {"input_tokens": 5})
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 7})
    assert list(house.totals("2026-10").items()) == [("D001", "7"), (None, "5"), ("*", "12")]
    assert [row["department"] for row in house.usage("2026-10", "department")] == ["D001", None]


def test_failed_and_cut_requests_cost_what_they_used_and_cached_answers_nothing(house: House) -> None:
    """A failed or broken-off request is charged; an answer from the gateway's cache is counted only."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,list",
        "openai,gpt-x,requests,,,,KRW,100,1,2026-01-01T00:00:00Z,,list",
    )
    for status in ("success", "failure", "cut"):
        house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 10, "requests": 1}, status=status)
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"requests": 4}, status="cached")
    assert house.totals("2026-10")["D001"] == "330"
    rows = {row["status"]: row for row in house.usage("2026-10", "status")}
    assert (rows["cached"]["cost"], rows["cached"]["price_status"]) == ("0", "not_billable")
    assert rows["cut"]["cost"] == "110"


def test_use_that_was_attributed_again_leaves_nothing_behind(house: House) -> None:
    """A negative part takes the old department's sums away: it has no statement and no row."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,list")
    for department, quantity in (("D001", 10), ("D001", -10), ("D002", 10)):
        house.use("2026-10-03T10:00:00+09:00", department, "gpt-x", {"input_tokens": quantity})
    assert house.totals("2026-10") == {"D002": "10", "*": "10"}
    assert [row["department"] for row in house.usage("2026-10", "department")] == ["D002"]


def test_rebilling_gives_the_same_hashes_and_a_changed_price_another(house: House) -> None:
    """The content hash depends on the content only."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,list")
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 10})
    first = house.statement("2026-10", "D001")["content_hash"]
    assert house.statement("2026-10", "D001")["content_hash"] == first
    house.use("2026-11-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 10})
    assert house.statement("2026-10", "D001")["content_hash"] == first
    house.prices("openai,gpt-x,input_tokens,,,,KRW,2,1,2026-10-01T00:00:00Z,,letter")
    assert house.statement("2026-10", "D001")["content_hash"] != first


def test_other_units_are_priced_like_any(house: House) -> None:
    """Units without a column of their own come from other_units."""
    house.prices(
        "google,gem,cache_read_audio_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,list",
        "google,gem,output_tokens,,,,KRW,3,1,2026-01-01T00:00:00Z,,list",
    )
    house.use(
        "2026-10-03T10:00:00+09:00",
        "D001",
        "gem",
        {"cache_read_audio_tokens": 5, "video_output_tokens": 7, "code_executions": 2},
        provider="google",
    )
    lines = {line["unit"]: line for line in house.statement("2026-10", "D001")["lines"]}
    assert (lines["cache_read_audio_tokens"]["amount"], lines["video_output_tokens"]["amount"]) == ("10", "21")
    assert lines["code_executions"]["amount"] is None


def test_two_currencies_are_two_rows_of_usage(house: House) -> None:
    """Grouped rows are one a currency; what is unpriced there has a row of its own."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,USD,1,1000000,2026-01-01T00:00:00Z,,list",
        "naver,hcx,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,list",
    )
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1})
    house.use("2026-10-03T10:00:00+09:00", "D001", "hcx", {"input_tokens": 4}, provider="naver")
    house.use("2026-10-03T10:00:00+09:00", "D001", "hcx", {"cache_read_tokens": 9}, provider="naver")
    rows = [(row["currency"], row["cost"], row["unpriced_quantity"]) for row in house.usage("2026-10", "department")]
    assert rows == [("KRW", "8", "0"), ("USD", "0.000001", "0"), (None, None, "9")]


def test_hours_and_other_dimensions(house: House) -> None:
    """Any dimension may be asked for; hours are UTC, tiers and sources are told apart."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,list",
        "openai,gpt-x,input_tokens,batch,,,KRW,1,1,2026-01-01T00:00:00Z,,list",
    )
    house.use("2026-10-03T10:30:00+09:00", "D001", "gpt-x", {"input_tokens": 3}, user="u-1", source="a")
    house.use("2026-10-03T11:00:00+09:00", "D001", "gpt-x", {"input_tokens": 4}, tier="batch", user="u-2", source="b")
    house.use("2026-10-03T11:00:00+09:00", "D001", "gpt-x", {"input_tokens": 5}, tier="flex", user="u-2", source="b")
    rows = house.usage("2026-10", "hour", "service_tier")
    assert [(row["hour"], row["service_tier"], row["cost"]) for row in rows] == [
        ("2026-10-03T01:00:00Z", "standard", "6"),
        ("2026-10-03T02:00:00Z", "batch", "4"),
        ("2026-10-03T02:00:00Z", "flex", None),
    ]
    assert [(row["user"], row["source"], row["quantity"]) for row in house.usage("2026-10", "user", "source")] == [
        ("u-1", "a", "3"),
        ("u-2", "b", "9"),
    ]
