"""A real browser for the tests of pages: Debian's Chromium under Playwright, as `make browser` installs it.

`page` runs scripts, `plain_page` does not; `open_page` gives further ones (another language, another window). At the
end of a test each of them fails it for what a visitor's browser would complain about: a script's error, a part of the
page that could not be fetched, and anything at all that was asked of another host than this machine.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.judges import axe_findings, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.judges import OpenPage

HERE = Path(__file__).parent
PROGRAM = "chromium"
PATIENCE_MS = 30_000
_endings: list[Callable[[], object]] = []
"""What ends the browser, while there is one."""


@pytest.fixture(scope="session")
def browser() -> Browser:
    """One browser for all tests of this directory. It ends with the last of them, not with the session: while it is
    there no other event loop may run in the main thread, and tests of other directories have some."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip(f"no {PROGRAM} on the path: `make browser` installs it, or your package manager")
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []  # root's processes cannot be put into one
    playwright = sync_playwright().start()
    _endings.append(playwright.stop)
    opened = playwright.chromium.launch(executable_path=program, args=arguments)
    _endings.append(opened.close)
    return opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None]:
    """End the browser where the next test is of another directory."""
    yield
    if nextitem is None or HERE not in nextitem.path.parents:
        while _endings:
            _endings.pop()()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages: `open_page(javascript=False, locale="en-GB")`. They are closed and judged at the end."""
    complaints: list[str] = []
    contexts = []

    def opened(*, javascript: bool = True, **options: Any) -> Page:
        given = {"locale": "ko-KR", "timezone_id": "Asia/Seoul", **options}
        context = browser.new_context(java_script_enabled=javascript, **given)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        watch(page, complaints)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page that runs scripts."""
    return open_page()


@pytest.fixture
def plain_page(open_page: OpenPage) -> Page:
    """A page that runs none."""
    return open_page(javascript=False)


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """`axe(page)`: what axe-core finds (`axe_findings`); an accessible page gives []."""
    return axe_findings
