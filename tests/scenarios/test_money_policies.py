"""Month stories of rates, tax, rounding and shared costs. Figures are worked out by hand beside each assertion."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import text

from billing.breaks.deciding import Asked, decide
from billing.breaks.worklist import Wanted
from billing.fx_policy import FxPolicy
from billing.laws import rounding_of
from billing.policy import MoneyPolicy
from billing.tax import TaxedTwice
from billing.terms.file import read_terms
from billing.terms.store import add_terms
from tests.scenarios.money_world import import_rules, import_vendors, put_invoice, under

if TYPE_CHECKING:
    from tests.scenarios.house import House

DOLLAR = "openai,gpt-x,input_tokens,,,,USD,1,1,2020-01-01T00:00:00Z,,letter"
WON = "openai,gpt-x,input_tokens,,,,KRW,1,1,2020-01-01T00:00:00Z,,letter"


def taxes(house: House, month: str, department: str | None) -> list[tuple[str, str, str, str]]:
    """(vendor, base, exact tax, booked tax) of a statement."""
    statement = house.statement(month, department)
    assert statement["tax"] == str(sum(int(one["amount"]) for one in statement["taxes"]))
    return [(one["vendor"], one["base_exact"], one["amount_exact"], one["amount"]) for one in statement["taxes"]]


def shares(house: House, month: str, department: str | None) -> list[tuple[Any, ...]]:
    """(rule, pool, pool's amount, exact share, booked share) of a statement."""
    names = ("rule", "pool", "pool_amount", "amount_exact", "amount")
    return [tuple(one[name] for name in names) for one in house.statement(month, department)["allocated"]]


def test_ten_won_over_120_departments(house: House) -> None:
    """A step of 10 won: every figure is a multiple of 10 within 10 won of its exact value, and all of them add up.

    Department n uses 7n won: 1 to 120 make 7 x 7260 = 50,820. Remainders are 7n mod 10; the floors add up to 50,820
    minus 12 x 45 = 50,280, so that 54 steps are left; in each round of ten departments, 5 have a
    remainder of 5 or more (5, 6, 7, 8, 9), which takes 60: the 54 largest of them get a step.
    """
    house.prices(WON)
    departments = [f"D{number:03d}" for number in range(1, 121)]
    for number, department in enumerate(departments, 1):
        house.use("2026-10-05T10:00:00+09:00", department, "gpt-x", {"input_tokens": 7 * number})
    with under(house, MoneyPolicy(step_digits=1)):
        month = house.month("2026-10")
        totals = house.totals("2026-10")
    assert totals.pop("*") == "50820"
    exact = {department: 7 * number for number, department in enumerate(departments, 1)}
    by_remainder = sorted(departments, key=lambda one: (-(exact[one] % 10), one))
    expected = {one: exact[one] // 10 * 10 + (10 if one in by_remainder[:54] else 0) for one in departments}
    assert {one: int(totals[one]) for one in departments} == expected
    assert sum(expected.values()) == 50_820
    assert rounding_of(month).violations == ()


def test_a_named_department_takes_the_rest(house: House) -> None:
    """It gets the first step that is left over, whatever its remainder; the other step goes by largest remainder."""
    house.prices(WON)
    for department, won in (("D001", 11), ("D002", 16), ("D003", 17), ("D004", 20)):
        house.use("2026-10-05T10:00:00+09:00", department, "gpt-x", {"input_tokens": won})
    # 64 won are 60 in tens; the floors are 10, 10, 10, 20: one step is left.
    for rest_to, expected in ((None, ["10", "10", "20", "20"]), ("D001", ["20", "10", "10", "20"]),
                              ("D004", ["10", "10", "20", "20"])):  # fmt: skip
        with under(house, MoneyPolicy(step_digits=1, rest_to=rest_to)):
            totals = house.totals("2026-10")
            assert [totals[one] for one in ("D001", "D002", "D003", "D004")] == expected, rest_to


def test_won_dollars_euros_and_yen_together(house: House) -> None:
    """Each price by its own pair of that day; yen are stated for a hundred, and divided on import."""
    house.prices(
        "a,won,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,s",
        "b,dollar,input_tokens,,,,USD,0.5,1,2026-01-01T00:00:00Z,,s",
        "c,euro,input_tokens,,,,EUR,0.25,1,2026-01-01T00:00:00Z,,s",
        "d,yen,input_tokens,,,,JPY,3,1,2026-01-01T00:00:00Z,,s",
    )
    house.fx("2026-10-01,USD,KRW,1400.5,bank", "2026-10-01,EUR,KRW,1600.25,bank", "2026-10-01,JPY(100),KRW,934.56,bank")
    for provider, model in (("a", "won"), ("b", "dollar"), ("c", "euro"), ("d", "yen")):
        house.use("2026-10-02T10:00:00+09:00", "D001", model, {"input_tokens": 3}, provider=provider)
    statement = house.statement("2026-10", "D001")
    assert [(line["price_currency"], line["fx_rate"], line["amount_exact"]) for line in statement["lines"]] == [
        ("KRW", "1", "6"),
        ("USD", "1400.5", "2100.75"),  # 3 x 0.5 x 1400.5
        ("EUR", "1600.25", "1200.1875"),  # 3 x 0.25 x 1600.25
        ("JPY", "9.3456", "84.1104"),  # 3 x 3 x 9.3456
    ]
    assert (statement["total_exact"], statement["total"]) == ("3391.0479", "3391")


def test_an_inverse_or_a_cross_rate_is_never_made(house: House) -> None:
    """KRW in USD is no rate of USD in KRW, and USD -> EUR -> KRW is no way: the line stays unconverted, and shows."""
    house.prices(DOLLAR)
    house.fx("2026-10-01,KRW,USD,0.0007,bank", "2026-10-01,USD,EUR,0.9,bank", "2026-10-01,EUR,KRW,1600,bank")
    house.use("2026-10-02T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 3})
    for policy in (MoneyPolicy(), MoneyPolicy(fx_policy="month_fixed"), MoneyPolicy(fx_policy="invoice")):
        with under(house, policy):
            (line,) = house.statement("2026-10", "D001")["lines"]
            assert (line["price_status"], line["amount"], line["fx_rate"]) == ("unconverted", None, None)


def test_whose_rate(house: House) -> None:
    """One dollar on a Saturday, under each policy of the organisation and of the vendor."""
    house.prices(DOLLAR)
    house.fx(*(f"{day},USD,KRW,{rate},bank" for day, rate in (
        ("2026-09-30", "1300"), ("2026-10-02", "1400"), ("2026-10-15", "1450"), ("2026-10-30", "1500"),
        ("2026-11-05", "1550"))))  # fmt: skip
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1})
    row = "openai,OpenAI,openai,,UTC,USD,none,0,{},2,,,,{}"

    def total(policy: MoneyPolicy) -> str:
        with under(house, policy):
            return str(house.statement("2026-10", "D001")["total"])

    fixed: FxPolicy = "month_fixed"
    assert total(MoneyPolicy()) == "1400"  # Friday's rate
    assert total(MoneyPolicy(fx_policy=fixed)) == "1500"  # 31 October is a Saturday: the 30th's
    assert total(MoneyPolicy(fx_policy=fixed, fx_day="15")) == "1450"
    assert total(MoneyPolicy(fx_policy=fixed, fx_day="2026-09-30")) == "1300"
    assert total(MoneyPolicy(fx_policy="invoice")) == "1500"  # the vendor's month ends on the 31st
    for name, day, expected in (
        ("invoice", "", "1500"),
        ("invoice_date", "6", "1550"),  # dated 6 November: the rate of the 5th is the last before it
        ("payment_date", "4", "1500"),  # paid on 4 November
        ("month_average", "", "1450"),  # (1400 + 1450 + 1500) / 3
        ("month_fixed", "", "1500"),
        ("usage_day", "", "1400"),
    ):
        import_vendors(house, row.format(name, day))
        for policy in (MoneyPolicy(), MoneyPolicy(fx_policy=fixed)):
            assert total(policy) == expected, (name, policy.fx_policy)
    import_vendors(house, row.format("", "6"))  # no policy of its own: the organisation's
    assert [total(MoneyPolicy(fx_policy=one)) for one in get_args(FxPolicy)] == ["1400", "1500", "1550"]


def test_an_average_that_does_not_end_is_rounded_as_a_rate_and_says_so(house: House) -> None:
    house.prices(DOLLAR)
    house.fx("2026-10-02,USD,KRW,1400.1,bank", "2026-10-05,USD,KRW,1400.2,bank", "2026-10-06,USD,KRW,1400.3,bank",
             "2026-10-07,USD,KRW,1400.4,bank", "2026-10-08,USD,KRW,1400,bank",
             "2026-10-12,USD,KRW,1400,bank")  # fmt: skip
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1000})
    import_vendors(house, "openai,OpenAI,openai,,UTC,USD,none,0,month_average,2,,,,")
    (line,) = house.statement("2026-10", "D001")["lines"]
    # 8401 / 6 = 1400.1666...; published rates have one digit
    assert (line["fx_rate"], line["amount"]) == ("1400.2", "1400200")
    assert line["fx_rows"][0]["source"] == "mean of the 6 rates published in 2026-10 (2026-10-02 to 2026-10-12)"


def test_a_leap_years_february(house: House) -> None:
    """29 February counts: as a day of use, as the month's last business day, and its first hour of March does not."""
    house.prices(DOLLAR)
    house.fx("2028-02-28,USD,KRW,1300,bank", "2028-02-29,USD,KRW,1310,bank", "2028-03-02,USD,KRW,1400,bank")
    house.use("2028-02-29T23:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1})
    house.use("2028-02-03T10:00:00+09:00", "D002", "gpt-x", {"input_tokens": 1})
    house.use("2028-03-01T00:00:00+09:00", "D001", "gpt-x", {"input_tokens": 100})
    import_rules(house, "support,fixed,10,USD,shares,,D001=1; D002=3,2028-02,2028-03,")
    february = house.totals("2028-02")
    # 1310 + 13100 / 4; D002 used its dollar before any rate was known
    assert (february["D001"], february["D002"]) == ("4585", "9825")
    for fx_day in ("last", "31", "29"):
        with under(house, MoneyPolicy(fx_policy="month_fixed", fx_day=fx_day)):
            assert house.totals("2028-02") == {"D001": "4585", "D002": "11135", "*": "15720"}
    assert house.totals("2028-03") == {"D001": "131000", "*": "131000"}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("none,0.1,,2,,,", []),
        ("vendor_charged,0.1,,2,,,added", [("openai", "1005", "100.5", "101")]),
        ("vendor_charged,0.1,,2,,,included", [("openai", "1005", "0", "0")]),
        ("domestic_invoice,0.1,,2,,,", [("openai", "1005", "100.5", "101")]),
        ("reverse_charge,0.1,,2,,,", [("openai", "1005", "100.5", "101")]),
        ("vendor_charged,0,,2,,,", []),
        ("vendor_charged,0.1,,2,2026-10-10,2026-10-20,", [("openai", "5", "0.5", "1")]),
    ],
)
def test_tax_by_mode_and_date(house: House, terms: str, expected: list[tuple[str, ...]]) -> None:
    """1,000 won on 3 October and 5 won on the 15th; another provider's 50 won are taxed by nobody."""
    house.prices(WON, "other,free,input_tokens,,,,KRW,1,1,2020-01-01T00:00:00Z,,letter")
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1000})
    house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 5})
    house.use("2026-10-15T10:00:00+09:00", "D001", "free", {"input_tokens": 50}, provider="other")
    import_vendors(house, f"openai,OpenAI,openai,,UTC,USD,{terms},")
    assert taxes(house, "2026-10", "D001") == expected
    statement = house.statement("2026-10", "D001")
    assert int(statement["total"]) == 1055 + sum(int(one[3]) for one in expected)
    if "included" in terms:
        assert Fraction(statement["taxes"][0]["included_exact"]) == Fraction(1005) / 11


def test_daylight_saving_in_the_vendors_zone(house: House) -> None:
    """The register's 1 November in Los Angeles has 25 hours: 07:00 UTC (still summer time) to 08:00 UTC of the 2nd."""
    house.prices(WON)
    import_vendors(
        house,
        "openai,OpenAI,openai,,America/Los_Angeles,USD,none,0,,2,,2026-11-01,,",
        "openai,OpenAI,openai,,America/Los_Angeles,USD,vendor_charged,0.1,,2,2026-11-01,2026-11-02,,",
        "openai,OpenAI,openai,,America/Los_Angeles,USD,none,0,,2,2026-11-02,,,",
    )
    for moment, won in (("2026-11-01T06:00:00Z", 1), ("2026-11-01T07:00:00Z", 10), ("2026-11-02T07:00:00Z", 100),
                        ("2026-11-02T08:00:00Z", 1000)):  # fmt: skip
        house.use(moment, "D001", "gpt-x", {"input_tokens": won})
    assert taxes(house, "2026-11", "D001") == [("openai", "110", "11", "11")]
    assert house.statement("2026-11", "D001")["total"] == "1122"


def test_the_vendors_month_decides_whose_invoice_it_is(house: House) -> None:
    """31 October 23:00 in Los Angeles is 15:00 of 1 November in Seoul: November here, October's invoice there."""
    house.prices(DOLLAR)
    house.fx("2026-10-31,USD,KRW,1000,bank", "2026-11-30,USD,KRW,2000,bank")
    import_vendors(house, "openai,OpenAI,openai,,America/Los_Angeles,USD,none,0,invoice_date,2,,,,")
    house.use("2026-11-01T06:00:00Z", "D001", "gpt-x", {"input_tokens": 1})
    house.use("2026-11-01T07:00:00Z", "D001", "gpt-x", {"input_tokens": 1})
    (line,) = house.statement("2026-11", "D001")["lines"]
    assert [(row["date"], row["quantity"]) for row in line["fx_rows"]] == [("2026-10-31", "1"), ("2026-11-30", "1")]
    assert line["amount"] == "3000"


def test_two_vendors_of_one_provider_are_told_apart_by_account(house: House) -> None:
    house.prices(WON)
    import_vendors(
        house,
        "openai,OpenAI,openai,,UTC,USD,none,0,,2,,,,",
        "azure,Microsoft,openai azure,sub-1,UTC,USD,reverse_charge,0.1,,2,,,,",
    )
    with house.as_role("owner") as connection:
        for account in ("proj_a", "sub-1"):
            connection.execute(
                text("""insert into route (source, provider, model, account, service_tier, status, usage_source)
                        values ('gateway-1', 'openai', 'gpt-x', :account, 'standard', 'success', 'provider')"""),
                {"account": account},
            )
        connection.execute(text("insert into payer (department, attributed_by) values ('D001', 'event')"))
        connection.execute(
            text("""insert into usage_part (hour, band, route_id, payer_id, partition, log_id, events, input_tokens)
                    select hour_of('2026-10-03T01:00Z'), 0, r.id, y.id, 0, 1, 1,
                           case account when 'sub-1' then 700 else 40 end from route r, payer y""")
        )
    assert taxes(house, "2026-10", "D001") == [("azure", "700", "70", "70")]
    assert house.statement("2026-10", "D001")["total"] == "810"


def test_a_credit_and_the_tax_of_an_invoice(house: House) -> None:
    """A credit lowers what departments owe, by their cost with that vendor; its tax lines raise it."""
    house.prices(WON, "other,free,input_tokens,,,,KRW,1,1,2020-01-01T00:00:00Z,,letter")
    house.fx("2026-10-15,USD,KRW,1000,bank", "2026-10-30,USD,KRW,1100,bank", "2026-10-01,EUR,KRW,1500,bank",
             "2026-10-01,JPY(100),KRW,900,bank")  # fmt: skip
    for department, won in (("D001", 1000), ("D002", 3000)):
        house.use("2026-10-03T10:00:00+09:00", department, "gpt-x", {"input_tokens": won})
    house.use("2026-10-03T10:00:00+09:00", "D003", "free", {"input_tokens": 5000}, provider="other")
    put_invoice(house, "openai", ("2026-10-15", "credit", "-1.5", "USD"), ("2026-10-31", "credit", "-0.25", "USD"),
                ("2026-11-01", "credit", "-100", "USD"), ("2026-10-31", "tax", "0.4", "USD"),
                ("2026-10-31", "tax", "0.1", "EUR"), ("2026-10-31", "tax", "10", "JPY"),
                ("2026-10-31", "tax", "7", "KRW"), ("2026-10-31", "fee", "2", "USD"))  # fmt: skip
    import_rules(
        house,
        "credits,invoice_credit:openai,,,cost:openai,,,2026-10,,",
        "vat,invoice_tax:openai,,,cost:openai,,,2026-10,,",
    )
    # -1.5 x 1000 - 0.25 x 1100 = -1775; 0.4 x 1100 + 0.1 x 1500 + 10 x 9 + 7 = 687
    assert shares(house, "2026-10", "D001") == [
        ("credits", "invoice_credit:openai", "-1775", "-443.75", "-444"),
        ("vat", "invoice_tax:openai", "687", "171.75", "172"),
    ]
    assert shares(house, "2026-10", "D002")[0][3:] == ("-1331.25", "-1331")
    assert house.totals("2026-10") == {"D001": "728", "D002": "2184", "D003": "5000", "*": "7912"}
    assert rounding_of(house.month("2026-10")).violations == ()


def test_an_amount_without_a_rate_shows_and_is_not_shared(house: House) -> None:
    house.prices(WON)
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 100})
    import_rules(house, "throughput,fixed,50,EUR,cost,,,2026-10,,")
    (shown,) = house.statement("2026-10", None)["allocated"]
    assert (shown["pool_amount"], shown["amount"]) == (None, "0")
    assert shown["why"].startswith("there is no rate of EUR in KRW for 2026-10")
    assert house.totals("2026-10") == {"D001": "100", None: "0", "*": "100"}


def test_shares_come_from_own_use_whatever_the_rules_order(house: House) -> None:
    """Unattributed use with its tax is given away; a share of support does not change anybody's weight."""
    house.prices(WON)
    import_vendors(house, "openai,OpenAI,openai,,UTC,USD,reverse_charge,0.1,,2,,,,")
    for department, won in (("D001", 100), ("D002", 300), (None, 40)):
        house.use("2026-10-03T10:00:00+09:00", department, "gpt-x", {"input_tokens": won})
    import_rules(
        house,
        "a support,fixed,1000,KRW,tokens:openai,,,2026-10,,",
        "b nobody,unattributed,,,cost,,,2026-10,,",
        "c refund,fixed,-80,KRW,cost,D002,,2026-10,,",
    )
    assert shares(house, "2026-10", "D002") == [
        ("a support", "fixed", "1000", "750", "750"),
        ("b nobody", "unattributed", "44", "33", "33"),
        ("c refund", "fixed", "-80", "-80", "-80"),
    ]
    assert shares(house, "2026-10", None) == [("b nobody", "unattributed", "44", "-44", "-44")]
    assert house.totals("2026-10") == {"D001": "371", "D002": "1033", None: "0", "*": "1404"}


def import_minimum(house: House, currency: str) -> None:
    """A minimum fee of 1,000 each month."""
    header, row = "name,kind,provider,currency,amount,valid_from", f"Minimum,minimum_fee,openai,{currency},1000,2026-01"
    with house.as_role("billing") as connection:
        terms = read_terms(f"{header}\n{row}\n".encode(), "terms.csv", "Asia/Seoul")
        add_terms(connection, terms, name="terms.csv", sha256="0" * 64, actor="os:test")


def test_a_minimum_without_a_rate_shows_on_the_statement(house: House) -> None:
    house.prices(WON)
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 100})
    import_minimum(house, "EUR")
    (shown,) = house.statement("2026-10", None)["allocated"]
    assert (shown["pool"], shown["pool_amount"], shown["amount"]) == ("term", None, "0")
    assert "the rate of KRW in EUR" in shown["why"]
    assert house.totals("2026-10")["*"] == "100"


def test_what_a_contract_leaves_to_be_paid(house: House) -> None:
    """A minimum fee of 1,000 won against 400 of use: by cost where no rule names it, else by its rule."""
    house.prices(WON)
    for department, won in (("D001", 100), ("D002", 300)):
        house.use("2026-10-03T10:00:00+09:00", department, "gpt-x", {"input_tokens": won})
    import_minimum(house, "KRW")
    assert shares(house, "2026-10", "D001") == [(None, "term:Minimum", "600", "150", "150")]
    import_rules(house, "rest,term,,,shares,,D002=1,2026-10,,", "mine,term:Minimum,,,shares,,D001=1; D002=1,2026-11,,")
    assert shares(house, "2026-10", "D001") == []
    assert shares(house, "2026-10", "D002") == [("rest", "term:Minimum", "600", "600", "600")]
    assert house.totals("2026-11") == {"D001": "500", "D002": "500", "*": "1000"}


def test_differences_of_an_invoice(house: House) -> None:
    """What was decided counts, and rounding; without the kinds that rules for pools of their own share."""
    house.prices(WON)
    house.fx("2026-10-01,USD,KRW,1000,bank", "2026-10-20,USD,KRW,1200,bank")
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 100})
    for breaks in (
        [("BYPASS", "9", "2026-10-02")],
        [("BYPASS", "2", "2026-10-02"), ("PRICE", "-0.5", "2026-10-20"), ("ROUNDING", "0.1", None),
         ("TAX", "50", "2026-10-20"), ("FEE", "1", None), ("CREDIT_OR_DISCOUNT", "-7", None)],
    ):  # fmt: skip
        with house.as_role("billing") as connection:
            number = connection.execute(
                text("""insert into reconciliation (vendor, month, first_day, end_day, currency, last_import_id,
                            invoice_total, ours_total, matched_groups, matched_amount, content_hash, actor)
                        values ('openai', '2026-10', '2026-10-01', '2026-11-01', 'USD', 1, 1, 1, 0, 0,
                                repeat('0', 64), 'os:test') returning id""")
            ).scalar_one()
            for place, (kind, amount, day) in enumerate(breaks, 1):
                connection.execute(
                    text("""insert into reconciliation_break (reconciliation_id, place, class, amount, key, why,
                                                              provisional)
                            values (:id, :place, :class, cast(:amount as numeric),
                                    jsonb_build_object('day', cast(:day as text)), 'why', false)"""),
                    {"id": number, "place": place, "class": kind, "amount": amount, "day": day},
                )
    import_rules(
        house, "differences,invoice_difference:openai,,,cost,,,2026-10,,", "fees,invoice_fee:openai,,,cost,,,2026-10,,"
    )
    # Rounding, about which nobody is asked: 0.1 x 1200. The others wait for a decision.
    assert shares(house, "2026-10", "D001") == [("differences", "invoice_difference:openai", "120", "120", "120")]
    with house.as_role("billing") as connection:
        for cls in ("BYPASS", "PRICE", "FEE"):
            wanted = Wanted(month="2026-10", vendor="openai", cls=cls)
            decide(connection, Asked("accept", "the vendor is right", "os:test", wanted=wanted))
    # 2 x 1000 - 0.5 x 1200 + 0.1 x 1200; the fee has a rule of its own
    assert shares(house, "2026-10", "D001") == [("differences", "invoice_difference:openai", "1520", "1520", "1520")]


def test_a_tax_that_came_twice_past_the_imports_is_refused_where_it_would_be_charged(house: House) -> None:
    """Imports refuse it; rows that went in otherwise are found when the month is computed."""
    import_rules(house, "vat,invoice_tax:openai,,,cost,,,2026-10,,")
    with house.as_role("owner") as connection:
        connection.execute(
            text("""insert into vendor (vendor, creditor, providers, accounts, zone, currency, tax_mode, tax_rate,
                                        fx_policy, settle_days, actor)
                    values ('openai', 'OpenAI', '{openai}', '{}', 'UTC', 'USD', 'reverse_charge', 0.1, '', 2, 't')""")
        )
    with pytest.raises(TaxedTwice, match="'openai' would be charged twice in 2026-10"):
        house.month("2026-10")
    assert house.totals("2026-09") == {"*": "0"}


def test_a_recorded_policy_gives_the_same_figures(house: House) -> None:
    policy = MoneyPolicy(step_digits=1, rest_to="D001", fx_policy="month_fixed", fx_day="15",
                         unattributed_limit=Decimal("0.05"))  # fmt: skip
    again = MoneyPolicy.from_document(policy.document())
    assert again == policy
    house.prices(DOLLAR)
    house.fx("2026-10-15,USD,KRW,1400.5,bank")
    for department in ("D001", "D002", "D003"):
        house.use("2026-10-20T10:00:00+09:00", department, "gpt-x", {"input_tokens": 1})
    with under(house, policy):
        totals = house.totals("2026-10")
    with under(house, again):
        assert house.totals("2026-10") == totals == {"D001": "1400", "D002": "1400", "D003": "1400", "*": "4200"}
