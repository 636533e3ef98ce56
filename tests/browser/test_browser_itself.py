"""The browser and its judges, on pages made for them: each planted break is found, and a sound page passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.judges import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page, Route

    from tests.browser.judges import OpenPage

SOUND = """<!doctype html><html lang="ko"><head><title>장부</title><link rel="icon" href="data:,"></head>
<body><main><h1>장부</h1><p id="told">표</p>{}</main></body></html>"""
SCRIPT = "<script>document.getElementById('told').textContent = 'script'</script>"
HOME = "http://127.0.0.1/page"


def show(page: Page, body: str, status: int = 200) -> None:
    """Open a page whose text is given; nothing listens for it."""

    def answer(route: Route) -> None:
        route.fulfill(status=status, content_type="text/html; charset=utf-8", body=SOUND.format(body))

    page.route(HOME, answer)
    page.goto(HOME)
    page.wait_for_load_state("networkidle")


def test_a_sound_page_passes(page: Page, axe: Callable[[Page], list[str]]) -> None:
    show(page, SCRIPT)
    assert page.inner_text("h1") == "장부"
    assert page.inner_text("#told") == "script"
    assert axe(page) == []


def test_a_plain_page_runs_no_script(plain_page: Page) -> None:
    show(plain_page, SCRIPT)
    assert plain_page.inner_text("#told") == "표"


def test_a_page_that_is_refused_is_no_break(page: Page) -> None:
    show(page, "", status=403)


def test_axe_finds_what_is_planted(page: Page, axe: Callable[[Page], list[str]]) -> None:
    show(page, '<img src="data:,"><input>')
    assert {line.split()[0] for line in axe(page)} == {"image-alt", "label"}


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("<script>throw new Error('planted')</script>", "script: planted"),
        ("<script>console.error('planted')</script>", "console: planted"),
        ('<img alt="" src="http://example.org/a.png">', "asked for http://example.org/a.png"),
        ('<img alt="" src="/missing.png">', "http://127.0.0.1/missing.png was answered with 404"),
    ],
)
def test_a_complaint_is_written_down(browser: Browser, planted: str, said: str) -> None:
    complaints: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        watch(page, complaints)
        page.route("**/missing.png", lambda route: route.fulfill(status=404))
        show(page, planted)
    assert len(complaints) == 1
    assert said in complaints[0]


def test_cookies_of_one_page_are_none_of_anothers(open_page: OpenPage) -> None:
    one, other = open_page(), open_page(locale="en-GB")
    for each in (one, other):
        show(each, "")
    one.evaluate("document.cookie = 'a=b'")
    assert [each.evaluate("document.cookie") for each in (one, other)] == ["a=b", ""]
    assert [each.evaluate("navigator.language") for each in (one, other)] == ["ko-KR", "en-GB"]
