"""A small city hall for the tests of pages: a month of use, prices, a bill with differences, registers, quarantine."""

from __future__ import annotations

import contextlib
import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jangbu.cli import main
from tests.integration.command_world import environment
from tests.integration.period_world import period_world
from tests.web_world import PASSWORD, running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from jangbu.services.postgres import DatabaseUrls
    from tests.web_world import Web

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
MONTH = "2026-10"
PRICES = [
    f"openai,{model},{unit},,,,USD,{price},1000000,2026-01-01T00:00:00Z,,letter"
    for model, prices in (("gpt-5-mini", (("input_tokens", "0.25"), ("output_tokens", "2"))),
                          ("gpt-4o", (("input_tokens", "2.5"), ("output_tokens", "10"))))
    for unit, price in prices
]  # fmt: skip
VENDOR = ("vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from",
          "openai,OpenAI,openai,,UTC,USD,none,0,usage_day,2,2026-01-01")
PROGRAMME = ("programme,name,starts_on,ends_on,places,budget,currency,models,rules_version,rules",
             "pilot,생성형 AI 시범,2026-10-01,2027-10-01,2,100000,KRW,gpt-*,1,개인정보를 넣지 않는다")
QUOTAS = ("scope,subject,model,unit,limit,window,thresholds,notify", "department,*,,KRW,2000,month,50;100,",
          "user,*,,tokens,5000000,year,80,")
RATES = [f"2026-{month:02d}-{day:02d},USD,KRW,1400,bank" for month in (8, 9, 10, 11) for day in range(1, 31)]
DEPARTMENTS = ("department,name,parent,head_user,valid_from", "D001,예산과,,u-1,2026-01-01", "D002,도로과,,,2026-01-01")
BUDGETS = ("department,period,amount,currency", "D001,2026-10,3000,KRW", "D002,2026-10,900000,KRW")
ROSTER = ("user,department,valid_from", "u-1,D001,2026-01-01", "u-2,D001,2026-01-01", "u-3,D002,2026-01-01")
REGISTERS = {
    "department": DEPARTMENTS, "budget": BUDGETS, "roster": ROSTER, "fx": ("date,base,quote,rate,source", *RATES),
    "vendor": VENDOR, "quota": QUOTAS, "programme": PROGRAMME,
}  # fmt: skip


@contextmanager
def city(urls: DatabaseUrls, directory: Path) -> Iterator[Web]:
    """The city's books, and the application over them until the block ends. Accounts: a role's name each."""
    with period_world(urls) as world:
        world.house.prices(*PRICES)
        events = []
        for month, times in (("09", 1), (MONTH[5:], 2)):
            for number in range(24):
                user = f"u-{number % 3 + 1}"
                department = "D002" if user == "u-3" else "D001"
                model = ("gpt-5-mini", "gpt-4o")[number % 2]
                when = f"2026-{month}-{number % 12 + 5:02d}T{9 + number % 8:02d}:10:00+09:00"
                more = times if department == "D001" else 1
                events.append(world.one(f"{month}-{number}", when, department, 20_000 * more, model=model,
                                        units={"output_tokens": 3_000 * more, "requests": 1}))  # fmt: skip
                events[-1]["subject"] = user
        events.append(world.one("wrong", f"{MONTH}-20T10:00:00+09:00", "D002", -1))
        events.append(world.one("odd", f"{MONTH}-20T10:00:00+09:00", "D002", 500, model="mystery"))
        world.use(*events)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for name, value in environment(urls).items():
            patch.setenv(name, value)
        for register, lines in REGISTERS.items():
            file = directory / f"{register}.csv"
            file.write_text("\n".join([*lines, ""]), encoding="utf-8")
            run(register, "import", str(file), "--yes")
        bill = str(EXAMPLES / "openai-costs-2026-10.json")
        run("invoice", "import", bill, "--vendor", "openai", "--month", MONTH)
        run("reconcile", "--vendor", "openai", "--month", MONTH, ends=(0, 6))
    settings = {"organisation": "한빛시", "pledge_version": "2026-1"}
    with running_web(urls, directory, (), **settings) as web:
        web.account("finance", "finance")
        web.account("platform", "platform")
        web.account("auditor", "auditor")
        web.account("head", "head", user="u-1")
        web.account("employee", "employee", user="u-2")
        yield web


def run(*words: str, ends: tuple[int, ...] = (0,)) -> str:
    """A command in this process; what it printed."""
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
    assert code in ends, f"jangbu {' '.join(words)} ended with {code}: {out.getvalue()}"
    return out.getvalue()


def enter(page: Page, web: Web, name: str, going: str = "/") -> None:
    """Sign in by the form, whatever its language, and go on."""
    page.goto(f"{web.url}/sign-in?next={going}")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_load_state()
    assert "/sign-in" not in page.url, page.inner_text("main")
