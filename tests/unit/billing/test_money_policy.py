"""The money policy as a value, as a record and as settings; days of rates; what the vendor register says of both."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from billing.errors import BillingError, FileRefused
from billing.fx import FxRow, doubtful_rates, read_fx
from billing.fx_policy import average_of, fixed_day, invoice_day
from billing.invoices.vendor_terms import VendorTerms
from billing.invoices.vendors import BUILT_IN, Vendor, read_vendors
from billing.periods import hour_number, month_in
from billing.policy import MoneyPolicy
from billing.rounding import apportion
from jangbu.errors import SettingsError
from jangbu.money_policy import policy_of
from jangbu.settings import load

if TYPE_CHECKING:
    from pathlib import Path

HEADER = (
    "vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from,valid_to,"
    "tax_in_price,fx_day\n"
)


def test_settings_become_the_policy_and_defaults_are_the_contracts(tmp_path: Path) -> None:
    assert policy_of(load(environ={}, cwd=tmp_path)) == MoneyPolicy()
    (tmp_path / "jangbu.toml").write_text('rounding_step = 10\nfx_day = "15"\n', encoding="utf-8")
    environ = {"JANGBU_FX_POLICY": "month_fixed", "JANGBU_ROUNDING_REST_TO": "D009", "JANGBU_FX_DAY": "20"}
    settings = load({"fx_day": "last", "unattributed_limit": "0.05"}, environ, tmp_path)
    assert policy_of(settings) == MoneyPolicy(
        step_digits=1, rest_to="D009", fx_policy="month_fixed", unattributed_limit=Decimal("0.05")
    )
    with pytest.raises(SettingsError, match="'QQQ' is no currency"):
        policy_of(load({"currency": "QQQ"}, {}, tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [("rounding_step", "100"), ("rounding_step", "1.0"), ("rounding_rest_to", " D1"), ("fx_policy", "spot"),
     ("fx_day", "0"), ("fx_day", "32"), ("fx_day", "2026-02-30"), ("fx_day", "20261030"), ("unattributed_limit", "1.1"),
     ("unattributed_limit", "-0.1"), ("unattributed_limit", "1e-2"), ("unattributed_limit", "NaN")],
)  # fmt: skip
def test_a_wrong_setting_says_which_and_what_to_write(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} = {value!r} .*: write "):
        load({name: value}, {}, tmp_path)


def test_a_policy_is_recorded_and_read_again() -> None:
    policy = MoneyPolicy("Europe/Berlin", "EUR", 1, "D001", "invoice", "2026-09-30", Decimal("0.125"))
    recorded = json.loads(json.dumps(policy.document()))
    assert MoneyPolicy.from_document(recorded) == policy
    assert recorded["rounding_step"] == "10"
    del recorded["fx_day"]
    with pytest.raises(BillingError, match="no fx_day"):
        MoneyPolicy.from_document(recorded)


@pytest.mark.parametrize(
    "wrong",
    [{"step_digits": 2}, {"currency": "won"}, {"fx_policy": "spot"}, {"fx_day": "40"},
     {"unattributed_limit": Decimal(2)}],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BillingError):
        MoneyPolicy(**wrong)


@pytest.mark.parametrize(
    ("fx_day", "last", "expected"),
    [("last", "2028-02-29", "2028-02-29"), ("31", "2026-02-28", "2026-02-28"), ("29", "2028-02-29", "2028-02-29"),
     ("1", "2026-10-31", "2026-10-01"), ("2026-09-30", "2026-10-31", "2026-09-30")],
)  # fmt: skip
def test_the_fixed_day(fx_day: str, last: str, expected: str) -> None:
    assert fixed_day(fx_day, date.fromisoformat(last)).isoformat() == expected


@pytest.mark.parametrize(
    ("fx_day", "last", "expected"),
    [(None, "2026-12-31", "2026-12-31"), (5, "2026-12-31", "2027-01-05"), (31, "2027-01-31", "2027-02-28"),
     (31, "2028-01-31", "2028-02-29")],
)  # fmt: skip
def test_the_invoices_day(fx_day: int | None, last: str, expected: str) -> None:
    vendor = Vendor("v", "V", ("v",), fx_day=fx_day)
    assert invoice_day(vendor, date.fromisoformat(last)).isoformat() == expected


def test_an_average_keeps_the_digits_of_its_rates() -> None:
    rows = [FxRow(n, date(2026, 10, n), "JPY", "KRW", Decimal(rate), "t")
            for n, rate in enumerate(("9.3456", "9.3457", "9.34"), 1)]  # fmt: skip
    found = average_of(rows, month_in("2026-10", "UTC"), 0)
    assert found is not None
    assert (str(found.rate), found.id, found.date) == ("9.3438", -1, date(2026, 10, 3))
    assert average_of([], month_in("2026-10", "UTC"), 0) is None


@pytest.mark.parametrize(
    ("parts", "whole", "named", "booked"),
    [
        (["0.4", "0.4", "0.4"], "1", 2, ["0", "0", "1"]),
        (["0.1", "0.9", "0.9"], "2", 0, ["1", "1", "0"]),
        (["1", "0.6", "0.4"], "2", 0, ["1", "1", "0"]),  # what is whole takes nothing
        (["0.1", "0.1"], "0", 0, ["0", "0"]),  # nothing is left to take
        (["-0.9", "0.4", "0.5"], "0", 0, ["0", "0", "0"]),
        (["-0.9", "-0.1"], "-1", 0, ["0", "-1"]),
    ],
)
def test_who_takes_the_rest(parts: list[str], whole: str, named: int, booked: list[str]) -> None:
    exact = {place: Decimal(part) for place, part in enumerate(parts)}
    found = apportion(exact, Decimal(whole), 0, lambda place: place == named)
    assert list(found.values()) == [Decimal(amount) for amount in booked]


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [
        ("v,,v,,,,none,0,usage_day,2,,,included,", "tax_in_price", "included"),
        ("v,,v,,,,reverse_charge,0.1,usage_day,2,,,included,", "tax_in_price", "included"),
        ("v,,v,,,,vendor_charged,0.1,usage_day,2,,,inside,", "tax_in_price", "inside"),
        ("v,,v,,,,vendor_charged,10,usage_day,2,,,,", "tax_rate", "10"),
        ("v,,v,,,,vendor_charged,10%,usage_day,2,,,,", "tax_rate", "10%"),
        ("v,,v,,,,vat,0.1,usage_day,2,,,,", "tax_mode", "vat"),
        ("v,,v,,,,none,0,spot,2,,,,", "fx_policy", "spot"),
        ("v,,v,,,,none,0,usage_day,2,,,,5", "fx_day", "5"),
        ("v,,v,,,,none,0,invoice_date,2,,,,32", "fx_day", "32"),
    ],
)
def test_a_wrong_register_names_the_cell(line: str, column: str, value: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_vendors((HEADER + "good,,good,,,,,,,,,,,\n" + line).encode(), "vendors.csv")
    (problem,) = refused.value.problems
    assert (problem.line, problem.column, problem.value) == (3, column, value)


def test_a_rate_far_from_the_last_one_is_asked_about() -> None:
    header = "date,base,quote,rate,source\n"
    book = read_fx(f"{header}2026-10-01,JPY(100),KRW,935,b\n2026-10-01,USD,KRW,1400,b\n".encode(), "fx.csv")
    rows = read_fx(
        f"{header}0001-01-01,JPY,KRW,935,b\n2026-10-02,JPY,KRW,935,b\n2026-10-05,JPY,KRW,934,b\n"
        "2026-10-02,USD,KRW,280.01,b\n2026-10-05,USD,KRW,56,b\n".encode(),
        "fx.csv",
    )
    yen, dollar = doubtful_rates(book, rows)
    assert yen == (
        "JPY in KRW is 935 on 2026-10-02, and 9.35 on 2026-10-01: is it for one JPY? "
        "(a rate for a hundred is written JPY(100))"
    )
    assert dollar.startswith("USD in KRW is 56 on 2026-10-05, and 280.01 on 2026-10-02: ")


def test_a_vendor_twice_from_one_day_is_refused() -> None:
    line = "v,,v,,,,none,0,,2,2026-10-01,,,"
    with pytest.raises(FileRefused, match=r"vendors\.csv, line 3, column vendor: 'v': line 2 says"):
        read_vendors((HEADER + f"{line}\n{line}\n").encode(), "vendors.csv")


def test_who_bills_use() -> None:
    lines = (
        "openai,,openai,,UTC,USD,,,,,,2026-10-01,,",
        "openai,,openai,,America/Los_Angeles,USD,,,,,2026-10-01,,,",
        "azure,,openai;azure,sub-1;sub-2,UTC,USD,,,,,,,,",
        "acme,,openai;mistral,,UTC,USD,,,,,,,,",
        "beta,,mistral,,UTC,USD,,,,,,,,",
    )
    terms = VendorTerms(read_vendors((HEADER + "\n".join(lines)).encode(), "vendors.csv"))
    hour = hour_number(datetime.fromisoformat("2026-10-05T00:00Z"))

    def who(provider: str, account: str | None = None, at: int = hour) -> str | None:
        found = terms.at(provider, account, at)
        return None if found is None else f"{found.vendor}/{found.zone}"

    assert who("openai") == who("OpenAI", "proj_a") == "openai/America/Los_Angeles"
    assert (who("openai", "sub-2"), who("azure", "sub-1"), who("azure", "sub-3")) == ("azure/UTC", "azure/UTC", None)
    assert (who("mistral"), who("cohere")) == ("acme/UTC", None)
    assert terms.name_accounts
    # The first row ends at midnight UTC, the second begins at midnight in Los Angeles, seven hours later.
    edges = terms.changes(hour - 240, hour)
    assert [who("openai", None, at) for at in (min(edges) - 1, min(edges), max(edges))] == [
        "openai/UTC", "acme/UTC", "openai/America/Los_Angeles",
    ]  # fmt: skip
    assert max(edges) - min(edges) == 7
    assert VendorTerms([]).at("openai", None, hour) is BUILT_IN["openai"]
    assert VendorTerms([Vendor("openai", "O", ("x",))]).at("openai", None, hour) is None
