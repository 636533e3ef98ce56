"""Signing in as people do it, in a real browser: with and without scripts, in both languages and themes, on a phone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, openid_provider
from tests.web_world import PASSWORD, PROBES, Web, running_web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres
    from tests.browser.judges import OpenPage

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def sign_in_database(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database browser_sign_in template {_migrated_template}")
    return postgres_server.urls_of("browser_sign_in")


@pytest.fixture(scope="module")
def standing(sign_in_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with openid_provider() as issuer:
        told = {
            "oidc_issuer": issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET,
            "oidc_user_claim": "preferred_username", "organisation": "한빛시",
        }  # fmt: skip
        with running_web(sign_in_database, tmp_path_factory.mktemp("browser"), PROBES, **told) as web:
            yield web


@pytest.fixture
def web(standing: Web, sign_in_database: DatabaseUrls) -> Web:
    with psycopg.connect(sign_in_database.owner, autocommit=True) as connection:
        connection.execute("truncate web_attempt, web_session, web_once, web_account cascade")
    standing.account("kim", "finance", display_name="김민수", user="u-1")
    return standing


def fill_in(page: Page, web: Web, name: str, password: str, labels: tuple[str, str, str]) -> None:
    page.goto(f"{web.url}/sign-in?next=/design")
    page.get_by_label(labels[0]).fill(name)
    page.get_by_label(labels[1]).fill(password)
    page.get_by_role("button", name=labels[2]).click()


KOREAN, ENGLISH = ("이름", "비밀번호", "로그인"), ("Name", "Password", "Sign in")


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize(("locale", "labels"), [("ko-KR", KOREAN), ("en-GB", ENGLISH)])
def test_a_person_signs_in_and_out(
    web: Web, open_page: OpenPage, locale: str, labels: tuple[str, str, str], javascript: bool
) -> None:
    page = open_page(javascript=javascript, locale=locale)
    fill_in(page, web, "kim", "wrong wrong wrong", labels)
    alert = page.get_by_role("alert")
    assert ("틀렸거나" if locale == "ko-KR" else "is wrong") in alert.inner_text()
    assert page.get_by_label(labels[0]).input_value() == "kim"
    assert page.get_by_label(labels[1]).input_value() == ""
    page.get_by_label(labels[1]).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{web.url}/design")
    assert page.locator(".who").inner_text() == "김민수"
    page.get_by_role("button", name="로그아웃" if locale == "ko-KR" else "Sign out").click()
    page.wait_for_url(re.compile(r"/sign-in$"))
    page.goto(f"{web.url}/me")
    assert "/sign-in?next=%2Fme" in page.url


def test_the_provider_brings_a_person_back(web: Web, plain_page: Page) -> None:
    plain_page.goto(f"{web.url}/sign-in?next=/design")
    plain_page.get_by_role("link", name="기관 계정으로 로그인").click()
    plain_page.get_by_label("User").fill("lee")
    plain_page.get_by_role("button", name="Go on").click()
    plain_page.wait_for_url(f"{web.url}/design")
    assert plain_page.locator(".who").inner_text() == "<b>Lee"


def test_the_first_account_is_made_in_the_browser(
    sign_in_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory, plain_page: Page
) -> None:
    with running_web(sign_in_database, tmp_path_factory.mktemp("first")) as web:
        with psycopg.connect(sign_in_database.owner, autocommit=True) as connection:
            connection.execute("truncate web_attempt, web_session, web_once, web_account cascade")
        plain_page.goto(f"{web.url}/sign-in")
        assert "아직 계정이 없습니다" in plain_page.get_by_role("main").inner_text()
        link = re.search(r"http\S+", web.said[-1])
        assert link is not None
        plain_page.goto(link[0])
        plain_page.get_by_label("이름").fill("park")
        plain_page.get_by_label("비밀번호", exact=True).fill(PASSWORD)
        plain_page.get_by_label("비밀번호 확인").fill(PASSWORD)
        plain_page.get_by_role("button", name="계정 만들기").click()
        plain_page.wait_for_url(f"{web.url}/")
        assert plain_page.locator(".who").inner_text() == "park"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/first?token=x", "/sign-in/oidc/callback?state=x"])
def test_axe_finds_nothing_and_nothing_is_cut(
    web: Web, open_page: OpenPage, axe: Callable[[Page], list[str]], path: str, theme: str
) -> None:
    for locale in ("ko-KR", "en-GB"):
        page = open_page(viewport=PHONE, color_scheme=theme, locale=locale)
        page.goto(web.url + path)
        assert axe(page) == []
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"{path} is {width} pixels wide on a phone of {PHONE['width']}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ones_own_account_on_a_phone(
    web: Web, open_page: OpenPage, axe: Callable[[Page], list[str]], theme: str
) -> None:
    page = open_page(viewport=PHONE, color_scheme=theme)
    fill_in(page, web, "kim", PASSWORD, KOREAN)
    page.get_by_role("link", name="김민수").click()
    page.wait_for_url(f"{web.url}/account")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_label("지금 비밀번호").fill(PASSWORD)
    page.get_by_label("새 비밀번호").fill("another four words")
    page.get_by_label("비밀번호 확인").fill("another four words")
    page.get_by_role("button", name="비밀번호 바꾸기").click()
    assert "비밀번호를 바꾸었습니다" in page.get_by_role("status").inner_text()


def test_the_keyboard_alone_signs_in(web: Web, page: Page) -> None:
    page.goto(f"{web.url}/sign-in?next=/design")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "name":
            break
    page.keyboard.type("kim")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{web.url}/design")


def test_no_script_reads_the_session(web: Web, page: Page) -> None:
    fill_in(page, web, "kim", PASSWORD, KOREAN)
    page.wait_for_url(f"{web.url}/design")
    assert "jangbu_session" not in page.evaluate("document.cookie")
    (cookie,) = (one for one in page.context.cookies() if one["name"] == "jangbu_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Lax", -1)


def test_another_sites_form_changes_nothing(web: Web, open_page: OpenPage) -> None:
    """A page elsewhere posts to us in a browser that is signed in; SameSite and the origin are both in its way."""
    page = open_page()
    fill_in(page, web, "kim", PASSWORD, KOREAN)
    page.wait_for_url(f"{web.url}/design")
    page.goto(web.url.replace("127.0.0.1", "localhost") + "/healthz")
    page.set_content(f'<form method="post" action="{web.url}/probe"><input name="value" value="1"></form>')
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert "changed" not in page.content()
    assert page.url == f"{web.url}/probe"
