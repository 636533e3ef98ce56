"""Every page that the application lists, in a real browser: axe in both themes, a phone, no scripts, no text missed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import ViewportSize

from jangbu.web.pages import REGISTERED
from jangbu.web.views import View
from tests.browser.city_world import MONTH, city, enter
from tests.browser.judges import axe_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

    from jangbu.services.postgres import DatabaseUrls
    from tests.browser.judges import OpenPage
    from tests.web_world import Web

DESK, PHONE = ViewportSize(width=1280, height=720), ViewportSize(width=360, height=740)
KNOWN = {"month": MONTH, "department": "D001", "provider": "openai", "model": "gpt-4o", "vendor": "openai",
         "year": MONTH[:4], "programme": "pilot"}  # fmt: skip
OF_OTHERS = frozenset({"alert", "entry", "name"})
"""Parameters that name something which only comes about later; their pages are visited by the tests of their areas."""
UNTRANSLATED = frozenset({"API", "CSV", "XLSX", "JSON", "PDF", "FOCUS", "ZIP"})
OF_OURS = "h1, h2, h3, th[scope=col], label, button, nav a, figcaption, caption, summary"
DATA = re.compile(r"(openai|OpenAI|finance|employee|mystery|English)(, \w+ \d+)?|[\w./:()%₩ -]*[_\d.-][\w./:()%₩ -]*")


def pages() -> list[str]:
    """The address of every view that can be named here."""
    found = []
    for one in REGISTERED:
        if not isinstance(one, View):
            continue
        names = set(re.findall(r"\{(\w+)(?::\w+)?\}", one.path))
        if names & OF_OTHERS:
            continue
        assert names <= set(KNOWN), f"{one.path}: say here what {names - set(KNOWN)} is"
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda hit: KNOWN[hit[1]], one.path)
        found.append(f"{path}?month={MONTH}" if any(p.name == "month" for p in one.parameters) else path)
    return found


@pytest.fixture(scope="module")
def web(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with city(module_database, tmp_path_factory.mktemp("city")) as found:
        yield found


def visit(page: Page, web: Web, path: str) -> None:
    answer = page.goto(web.url + path)
    assert answer is not None
    assert answer.status == 200, f"{path}: {answer.status} {page.inner_text('main')[:300]}"


def who(path: str) -> str:
    return "employee" if path.startswith("/me") else "finance"


@pytest.fixture(scope="module")
def states(web: Web) -> dict[str, dict[str, str]]:
    """Cookies of finance and of an employee, so that not every test signs in."""
    from tests.web_world import signed_in

    found = {}
    for name in ("finance", "employee"):
        client = signed_in(web, name, name)
        found[name] = dict(client.cookies)
        client.close()
    return found


def as_person(page: Page, web: Web, cookies: dict[str, str]) -> None:
    context: BrowserContext = page.context
    context.add_cookies([{"name": name, "value": value, "url": web.url} for name, value in cookies.items()])


class Findings(NamedTuple):
    """What was found wrong, by path: by axe in both themes, and pixels that a phone would have to move sideways for."""

    axe: dict[str, list[str]]
    beyond_pixels: dict[str, int]


@pytest.fixture
def findings(web: Web, states: dict[str, dict[str, str]], open_page: OpenPage) -> Findings:
    """Each page is opened once, by turns in Korean and in English. In the dark only colours are others."""
    found = Findings({}, {})
    opened = [open_page(locale=locale, reduced_motion="reduce") for locale in ("ko-KR", "en-GB")]
    for number, path in enumerate(pages()):
        page = opened[number % len(opened)]
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="light")
        as_person(page, web, states[who(path)])
        visit(page, web, path)
        told = axe_findings(page)
        page.emulate_media(color_scheme="dark")
        told += [f"in the dark: {one}" for one in axe_findings(page, ("color-contrast",))]
        page.set_viewport_size(PHONE)
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if told:
            found.axe[path] = told
        if beyond > 0:
            found.beyond_pixels[path] = beyond
    return found


def test_axe_finds_nothing_in_both_themes_and_a_phone_shows_all(findings: Findings) -> None:
    assert findings == Findings({}, {})


def test_no_text_is_missed_by_the_catalogue(
    web: Web, states: dict[str, dict[str, str]], open_page: OpenPage
) -> None:
    """In the made-up language every text of ours stands in brackets: a heading, label or button without is none of the
    catalogue. Names and figures are not ours."""
    page = open_page(javascript=False)
    missed: dict[str, list[str]] = {}
    for path in pages():
        as_person(page, web, states[who(path)])
        visit(page, web, path + ("&" if "?" in path else "?") + "lang=xx")
        for text in page.locator(OF_OURS).all_inner_texts():
            words = text.strip()
            if re.search(r"[A-Za-z]{3}", words) and "[" not in words and not is_data(words):
                missed.setdefault(path, []).append(words)
    assert missed == {}


def is_data(words: str) -> bool:
    """Whether words are a name, a code or a unit and no text of ours."""
    return words in UNTRANSLATED or DATA.fullmatch(words) is not None


def test_every_page_can_be_walked_by_keyboard(
    web: Web, states: dict[str, dict[str, str]], page: Page
) -> None:
    as_person(page, web, states["finance"])
    visit(page, web, "/quotas")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
    assert len(seen) > 6


def test_twice_the_size_still_fits(web: Web, states: dict[str, dict[str, str]], open_page: OpenPage) -> None:
    """200 % zoom is half as many pixels of the layout (WCAG 1.4.4, 1.4.10)."""
    page = open_page(viewport={"width": 640, "height": 450}, device_scale_factor=2)
    as_person(page, web, states["finance"])
    for path in ("/", "/usage", f"/month-end/{MONTH}", "/quotas"):
        visit(page, web, path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


def test_a_sign_in_leads_on_to_the_page_that_was_asked_for(web: Web, plain_page: Page) -> None:
    enter(plain_page, web, "auditor", "/ledger")
    assert plain_page.url == f"{web.url}/ledger"


def test_a_file_that_is_being_sent_shows_that_it_is(web: Web, page: Page) -> None:
    enter(page, web, "platform", "/quotas")
    said = page.locator(".sending")
    assert not said.is_visible()
    page.set_input_files("input[type=file]", {"name": "q.csv", "mimeType": "text/csv", "buffer": b"scope\n"})
    page.evaluate("addEventListener('submit', (event) => event.preventDefault())")  # after ours: it stays as it is then
    page.evaluate("document.querySelector('input[type=file]').form.requestSubmit()")
    assert said.is_visible()
    assert page.locator("form[aria-busy] progress").is_visible()
