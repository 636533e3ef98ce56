"""Each person's main task from the sign-in to done, in both languages, with scripts and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.city_world import MONTH, city, enter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from jangbu.services.postgres import DatabaseUrls
    from tests.browser.judges import OpenPage
    from tests.web_world import Web

WAYS = pytest.mark.parametrize(("locale", "javascript"), [("ko-KR", True), ("en-GB", False)])


@pytest.fixture(scope="module")
def web(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with city(module_database, tmp_path_factory.mktemp("tasks")) as found:
        yield found


def opened(open_page: OpenPage, web: Web, who: str, going: str, locale: str, javascript: bool) -> Page:
    page = open_page(locale=locale, javascript=javascript)
    enter(page, web, who, going)
    return page


@WAYS
def test_a_head_finds_why_the_bill_doubled(web: Web, open_page: OpenPage, locale: str, javascript: bool) -> None:
    page = opened(open_page, web, "head", "/departments", locale, javascript)
    page.goto(f"{web.url}/departments?month={MONTH}")
    assert page.get_by_role("link", name="D002").count() == 0, "another department's"
    page.locator("tbody a").first.click()
    page.wait_for_load_state()
    text = page.inner_text("main")
    assert "gpt-4o" in text, "the model that moved the bill"
    page.locator("a[href*='explain']").first.click()
    page.wait_for_load_state()
    proof = page.inner_text("main")
    assert "P-0" in proof, "the price row that made the amount"
    assert "letter" in proof, "and where that price came from"


@WAYS
def test_the_platform_sends_a_quarantined_record_again(
    web: Web, open_page: OpenPage, locale: str, javascript: bool
) -> None:
    page = opened(open_page, web, "platform", "/data-quality", locale, javascript)
    page.get_by_role("link", name="invalid").first.click()
    page.wait_for_load_state()
    box = page.locator("input[name=id]")
    if box.count():  # the first of the two ways takes it back after it was dismissed
        box.first.check()
        page.fill("[name=reason]", "a test's record")
        page.locator("button[formaction$=dismiss]").click()
        page.wait_for_load_state()
        assert page.get_by_role("status").inner_text()
    page.goto(f"{web.url}/data-quality/quarantine?state=dismissed")
    page.locator("input[name=id]").first.check()
    page.fill("[name=reason]", "taken back")
    page.locator("form[action$=reopen] button").last.click()
    page.wait_for_load_state()
    assert page.get_by_role("status").inner_text()


@WAYS
def test_an_auditor_explains_a_won(web: Web, open_page: OpenPage, locale: str, javascript: bool) -> None:
    page = opened(open_page, web, "auditor", f"/departments/D001?month={MONTH}", locale, javascript)
    page.locator("a[href*='explain']").first.click()
    page.locator("a[href*='line=']").first.click()
    page.wait_for_load_state()
    assert "1400" in page.inner_text("main").replace(",", ""), "the rate that converted it"
    page.goto(f"{web.url}/ledger/laws")
    page.locator("main form button[type=submit]").click()
    page.wait_for_load_state()
    assert page.locator(".state.bad").count() == 0
    assert page.locator(".state.good").count() >= 8


@WAYS
def test_an_employee_signs_and_sees_what_is_left(web: Web, open_page: OpenPage, locale: str, javascript: bool) -> None:
    page = opened(open_page, web, "employee", "/me", locale, javascript)
    if page.locator("form[action='/me/pledge']").count():
        page.check("form[action='/me/pledge'] [name=agreed]")
        page.locator("form[action='/me/pledge'] button").click()
        page.wait_for_load_state()
    text = page.inner_text("main")
    assert ("서명함" if locale == "ko-KR" else "signed") in text
    assert "tokens" in text
    page.goto(f"{web.url}/quotas")
    assert page.get_by_role("alert").count() == 1, "other people's quotas are not an employee's"


@pytest.mark.parametrize("javascript", [True, False])
def test_finance_is_led_to_the_close(web: Web, open_page: OpenPage, javascript: bool) -> None:
    """What stands against the close is named with the way to mend it; the close itself is refused until it is."""
    page = opened(open_page, web, "finance", f"/month-end/{MONTH}", "ko-KR", javascript)
    assert page.locator(".state.bad, .state.watch").count() > 0
    page.locator(f"a[href='/month-end/{MONTH}/dry-run']").first.click()
    page.wait_for_load_state()
    assert "D001" in page.inner_text("main")


def test_finance_closes_a_month(web: Web, open_page: OpenPage) -> None:
    page = opened(open_page, web, "finance", "/month-end/2026-09", "ko-KR", javascript=True)
    assert page.locator("[name=confirm]").count(), page.inner_text("main")
    for box in page.locator("[name=accept]").all():
        box.check()
    page.fill("[name=confirm]", "2026-09")
    page.fill("[name=reason]", "a test's month") if page.locator("[name=reason]").count() else None
    page.locator("form[action$='/close'] button").click()
    page.wait_for_load_state()
    assert page.get_by_role("status").inner_text(), page.inner_text("main")
    assert page.locator("form[action$='/close']").count() == 0
    with page.expect_download() as told:
        page.locator("a[href*='/files/journal']").first.click()
    assert told.value.suggested_filename.endswith(".csv")
