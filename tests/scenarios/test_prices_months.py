"""Month stories about prices and contract terms. The figures are worked out by hand beside each assertion."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from billing.errors import BillingError
from billing.periods import month_in
from billing.terms.file import TermChanges, read_terms
from billing.terms.pools import Pool, read_obligations, read_pools
from billing.terms.store import add_terms

if TYPE_CHECKING:
    from tests.scenarios.house import House

TERMS_HEADER = "name,kind,provider,model,unit,origin,currency,percent,amount,per,above,valid_from,valid_to,source\n"
WON_PRICE = "openai,gpt-x,input_tokens,,,,KRW,10,1000,2026-01-01T00:00:00Z,,list"
DOLLAR_PRICE = "openai,gpt-x,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,list"


def bring_terms(house: House, *lines: str) -> TermChanges:
    """Import term lines (without the header) under the billing login."""
    raw = (TERMS_HEADER + "\n".join(lines)).encode()
    with house.as_role("billing") as connection:
        return add_terms(
            connection, read_terms(raw, "terms.csv", house.policy.zone), name="terms.csv", sha256="0" * 64, actor="os:t"
        )


def pools(house: House, month: str) -> list[Pool]:
    with house.as_role("reader") as connection:
        return read_pools(connection, month_in(month, house.policy.zone), house.policy)


def obligations(house: House, month: str) -> list[dict[str, Any]]:
    with house.as_role("reader") as connection:
        return [one.document() for one in read_obligations(connection, month_in(month, house.policy.zone))]


def lines_of(house: House, department: str, *columns: str) -> list[tuple[Any, ...]]:
    statement = house.statement("2026-10", department)
    return [tuple(line[column] for column in columns) for line in statement["lines"]]


def spans(house: House, department: str) -> list[tuple[str, str | None, str | None, str, str]]:
    """(quantity, above, up_to, unit price, exact amount) of each line; the span of its volume tier, if it has one."""
    return [
        (
            line["quantity"],
            line["terms"][-1].get("above") if line["terms"] else None,
            line["terms"][-1].get("up_to") if line["terms"] else None,
            line["unit_price"],
            line["amount_exact"],
        )
        for line in house.statement("2026-10", department)["lines"]
    ]


def use(house: House, department: str, tokens: int, when: str = "2026-10-03T10:00:00+09:00", **more: Any) -> None:
    house.use(when, department, more.pop("model", "gpt-x"), {"input_tokens": tokens}, **more)


def test_a_price_that_changes_at_noon_in_seoul_in_mid_month(house: House) -> None:
    """The hour before noon is at the old price, the hour of noon at the new one; a discount begins an hour later."""
    house.prices(WON_PRICE, "openai,gpt-x,input_tokens,,,,KRW,20,1000,2026-10-15T12:00:00+09:00,,letter")
    bring_terms(house, "rebate,discount,openai,gpt-x,,,,25,,,,2026-10-15T13:00:00+09:00,,letter")
    use(house, "D001", 1000, "2026-10-15T11:59:59+09:00")
    use(house, "D001", 2000, "2026-10-15T12:00:00+09:00")
    use(house, "D001", 4000, "2026-10-15T13:00:00+09:00")
    assert lines_of(house, "D001", "price_id", "quantity", "unit_price", "amount_exact") == [
        ("P-000001", "1000", "0.01", "10"),
        ("P-000002", "2000", "0.02", "40"),
        ("P-000002", "4000", "0.015", "60"),
    ]
    assert [line["terms"] for line in house.statement("2026-10", "D001")["lines"]] == [
        [],
        [],
        [
            {
                "term_id": "T-000001",
                "name": "rebate",
                "kind": "discount",
                "percent": "25",
                "unit_price_before": "0.02",
            }
        ],
    ]
    (row,) = house.usage("2026-10", "model")
    assert (row["cost"], row["currency"]) == ("110", "KRW")


def test_a_model_that_is_renamed(house: House) -> None:
    """The vendor calls gpt-x gpt-y from the 10th on, and its snapshots too: old rows end, new ones begin."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,KRW,10,1000,2026-01-01T00:00:00Z,2026-10-10T00:00:00+09:00,list",
        "openai,gpt-y,input_tokens,,,,KRW,12,1000,2026-10-10T00:00:00+09:00,,list",
    )
    use(house, "D001", 1000, "2026-10-09T23:00:00+09:00")
    use(house, "D001", 1000, "2026-10-10T00:00:00+09:00", model="gpt-y-2026-10-10")
    use(house, "D001", 7, "2026-10-10T00:00:00+09:00")  # somebody still asks for the old name: it has no price
    statement = house.statement("2026-10", "D001")
    assert [
        (line["model"], line["price_status"], line["price_id"], line["amount_exact"]) for line in statement["lines"]
    ] == [
        ("gpt-x", "unpriced", None, None),
        ("gpt-x", "priced", "P-000001", "10"),
        ("gpt-y-2026-10-10", "priced", "P-000002", "12"),
    ]
    assert (statement["unpriced_quantity"], statement["total"]) == ("7", "22")


@pytest.mark.parametrize(
    ("prompt", "exact", "price_id"),
    [(199_999, "199.999", "P-000001"), (200_000, "200", "P-000001"), (200_001, "400.002", "P-000002")],
)
def test_the_cliff_at_200_000_tokens(house: House, prompt: int, exact: str, price_id: str) -> None:
    """One token more doubles the price of all of the request's; what the database calls the band decides."""
    house.prices(
        "google,gem,input_tokens,,,,KRW,1,1000,2026-01-01T00:00:00Z,,list",
        "google,gem,input_tokens,,,200000,KRW,2,1000,2026-01-01T00:00:00Z,,list",
    )
    with house.as_role("owner") as connection:
        (band,) = connection.exec_driver_sql(f"select prompt_band({prompt})").one()
    use(house, "D001", prompt, model="gem", provider="google", band=band)
    assert lines_of(house, "D001", "price_id", "amount_exact") == [(price_id, exact)]


GRADUATED = "volume,graduated_tier,openai,gpt-x,input_tokens,,,{},,,{},2026-10,,annex"


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (1000, [("1000", None, None, "0.01", "10")]),
        (1001, [("1000", None, None, "0.01", "10"), ("1", "1000", "3000", "0.005", "0.005")]),
        (3000, [("1000", None, None, "0.01", "10"), ("2000", "1000", "3000", "0.005", "10")]),
        (
            3500,
            [
                ("1000", None, None, "0.01", "10"),
                ("2000", "1000", "3000", "0.005", "10"),
                ("500", "3000", None, "0.001", "0.5"),
            ],
        ),
    ],
)
def test_graduated_tiers_crossed_by_one_event(house: House, tokens: int, expected: list[tuple[str, ...]]) -> None:
    """One event of so many tokens is cut at each threshold; each part has its line."""
    house.prices(WON_PRICE)
    bring_terms(house, GRADUATED.format(50, 1000), GRADUATED.format(90, 3000))
    use(house, "D001", tokens)
    assert spans(house, "D001") == expected


def test_graduated_tiers_are_the_organisations(house: House) -> None:
    """Departments pay the same mixture, whoever came first; tiers and departments add up."""
    house.prices(WON_PRICE)
    bring_terms(house, GRADUATED.format(50, 1000), GRADUATED.format(90, 3000))
    use(house, "D001", 2000, "2026-10-30T10:00:00+09:00")
    use(house, "D002", 1000, "2026-10-01T10:00:00+09:00")
    use(house, "D003", 1000, "2026-10-15T10:00:00+09:00")
    # 4,000 tokens: 1,000 at 0.01, 2,000 at 0.005, 1,000 at 0.001; a quarter, a half, a quarter of everybody's
    assert spans(house, "D001") == [
        ("500", None, None, "0.01", "5"),
        ("1000", "1000", "3000", "0.005", "5"),
        ("500", "3000", None, "0.001", "0.5"),
    ]
    assert spans(house, "D002") == spans(house, "D003") == [
        ("250", None, None, "0.01", "2.5"),
        ("500", "1000", "3000", "0.005", "2.5"),
        ("250", "3000", None, "0.001", "0.25"),
    ]
    assert house.month("2026-10").exact_total == Fraction(21)  # 10 + 10 + 1
    assert [row["cost"] for row in house.usage("2026-10")] == ["10.5", "5.25", "5.25"]
    use(house, "D001", 999, "2026-11-01T00:00:00+09:00")  # another month begins from nothing
    assert house.statement("2026-11", "D001")["total_exact"] == "9.99"


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (1000, ("1000", None, None, "0.01", "10")),
        (1001, ("1001", "1000", "3000", "0.008", "8.008")),
        (3000, ("3000", "1000", "3000", "0.008", "24")),
        (3001, ("3001", "3000", None, "0.004", "12.004")),
    ],
)
def test_whole_volume_prices_all_of_the_month(house: House, tokens: int, expected: tuple[str, ...]) -> None:
    """The tier that the month reaches prices everything, from the first token on."""
    house.prices(WON_PRICE)
    bring_terms(
        house,
        "volume,whole_tier,openai,gpt-x,input_tokens,,KRW,,8,1000,1000,2026-10,,annex",
        "volume,whole_tier,openai,gpt-x,input_tokens,,KRW,,4,1000,3000,2026-10,,annex",
    )
    use(house, "D001", tokens - 500, "2026-10-01T00:00:00+09:00")
    use(house, "D001", 500, "2026-10-31T23:00:00+09:00")
    assert spans(house, "D001") == [expected]


def test_a_discount_a_tier_and_prices_in_dollars(house: House) -> None:
    """A tier's percentage comes on top of the discount; a tier's price stands in the place of both."""
    house.prices(DOLLAR_PRICE, DOLLAR_PRICE.replace("gpt-x", "gpt-z"))
    house.fx("2026-10-01,USD,KRW,1400,bank")
    bring_terms(
        house,
        "all,discount,openai,,,,,10,,,,2026-10,,annex",
        "x,discount,openai,gpt-x,,,,20,,,,2026-10,,annex",
        "vol x,whole_tier,openai,gpt-x,tokens,,,50,,,999,2026-10,,annex",
        "vol z,whole_tier,openai,gpt-z,tokens,,KRW,,7,10,999,2026-10,,annex",
    )
    use(house, "D001", 1000)
    use(house, "D001", 1000, model="gpt-z")
    lines = house.statement("2026-10", "D001")["lines"]
    assert [
        (line["model"], line["unit_price"], line["price_currency"], [term["term_id"] for term in line["terms"]])
        for line in lines
    ] == [
        ("gpt-x", "0.0004", "USD", ["T-000002", "T-000003"]),  # 0.001 less 20 %, less 50 %
        ("gpt-z", "0.7", "KRW", ["T-000004"]),
    ]
    assert [line["amount_exact"] for line in lines] == ["560", "700"]


def test_a_commitment_is_drawn_down_over_three_months(house: House) -> None:
    """100 dollars for three months: 30, then 50 and a bit, then the rest is missing at the end, in won of that day."""
    house.prices(DOLLAR_PRICE)
    house.fx("2026-09-01,USD,KRW,1300,bank", "2026-12-30,USD,KRW,1450.5,bank")
    bring_terms(house, "prepaid,commitment,openai,gpt-x,,,USD,,100,,,2026-10,2027-01,order 1")
    use(house, "D001", 777, "2026-09-30T23:00:00+09:00")  # before it begins
    use(house, "D001", 30_000, "2026-10-01T00:00:00+09:00")
    use(house, "D002", 50_001, "2026-11-15T00:00:00+09:00")
    use(house, "D002", 9000, "2026-12-31T23:00:00+09:00")
    use(house, "D002", 5000, "2027-01-01T00:00:00+09:00")  # after it has ended
    assert pools(house, "2026-10") == pools(house, "2026-11") == pools(house, "2027-01") == []
    (pool,) = pools(house, "2026-12")
    assert (pool.name, pool.kind) == ("prepaid", "commitment")
    assert pool.exact == Fraction("10.999") * Fraction("1450.5")
    assert (pool.document["fx_rate"], pool.document["fx_date"]) == ("1450.5", "2026-12-30")
    assert [tuple(month.values()) for month in pool.document["months"]] == [
        ("2026-10", "100", "30", "30", "0", "70"),
        ("2026-11", "70", "50.001", "50.001", "0", "19.999"),
        ("2026-12", "19.999", "9", "9", "0", "10.999"),
    ]
    (standing,) = obligations(house, "2026-11")
    assert (standing["remaining"], standing["due"], standing["shortfall"]) == ("19.999", False, "19.999")
    use(house, "D001", 20_000, "2026-12-01T00:00:00+09:00")  # now it is used up, and 9.001 go beyond
    assert pools(house, "2026-12") == []
    (standing,) = obligations(house, "2026-12")
    assert tuple(standing["months"][-1].values()) == ("2026-12", "19.999", "29", "19.999", "9.001", "0")


@pytest.mark.parametrize(
    ("tokens", "missing"), [(0, "500"), (1, "499.99"), (49_999, "0.01"), (50_000, None), (50_001, None)]
)
def test_the_shortfall_of_a_minimum_fee(house: House, tokens: int, missing: str | None) -> None:
    """What is missing to the fee, and never less than nothing."""
    house.prices(WON_PRICE)
    bring_terms(house, "least,minimum_fee,openai,gpt-x,,,KRW,,500,,,2026-10,2026-12,order 2")
    use(house, "D001", 1_000_000, "2026-09-30T23:00:00+09:00")
    use(house, "D001", 1_000_000, model="gpt-other")
    if tokens:
        use(house, "D001", tokens)
    found = pools(house, "2026-10")
    assert [pool.exact for pool in found] == ([] if missing is None else [Fraction(missing)])
    assert [pool.exact for pool in pools(house, "2026-11")] == [Fraction(500)]  # each month for itself
    assert pools(house, "2026-12") == []  # it has ended


def test_a_minimum_in_dollars_over_prices_in_two_currencies(house: House) -> None:
    """Charges in another currency are converted by the day's rate; without one the month says which rate is missing."""
    house.prices(DOLLAR_PRICE, WON_PRICE.replace("gpt-x", "gpt-w"))
    house.fx("2026-10-01,USD,KRW,1400,bank")
    bring_terms(house, "least,minimum_fee,openai,,,,USD,,10,,,2026-10,,order 3")
    use(house, "D001", 1000)  # 1 dollar
    (pool,) = pools(house, "2026-10")
    assert pool.exact == 9 * 1400
    use(house, "D001", 1_000_000, model="gpt-w")  # 10,000 won
    with pytest.raises(BillingError, match="the rate of KRW in USD of 2026-10-03 or before"):
        pools(house, "2026-10")
    house.fx("2026-10-02,KRW,USD,0.0007,bank")
    (pool,) = pools(house, "2026-10")
    assert pool.exact == (9 - 7) * 1400


def test_a_term_that_is_imported_again_and_one_that_follows(house: House) -> None:
    """The same line again changes nothing; another percentage replaces it; a later begin ends the earlier one."""
    house.prices(WON_PRICE)
    line = "rebate,discount,openai,gpt-x,,,,{},,,,{},,letter"
    assert len(bring_terms(house, line.format(10, "2026-10")).added) == 1
    assert bring_terms(house, line.format(10, "2026-10")).unchanged == 1
    assert len(bring_terms(house, line.format(20, "2026-10")).changed) == 1
    later = bring_terms(house, line.format(50, "2026-10-16T00:00:00+09:00"))
    assert ([term.code for term in later.ended], len(later.added)) == (["T-000002"], 1)
    use(house, "D001", 1000, "2026-10-15T23:00:00+09:00")
    use(house, "D001", 1000, "2026-10-16T00:00:00+09:00")
    assert lines_of(house, "D001", "unit_price", "amount_exact") == [("0.008", "8"), ("0.005", "5")]
    with pytest.raises(BillingError, match="'rebate' is a discount in the book"):
        bring_terms(house, "rebate,minimum_fee,openai,gpt-x,,,KRW,,5,,,2026-11,,letter")
