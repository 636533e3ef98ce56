"""Where nothing was used, on the narrowest phone: the state of each first step is seen without moving sideways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.city_world import enter
from tests.web_world import running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls
    from tests.browser.judges import OpenPage
    from tests.web_world import Web

ENDS = """(cells) => cells.map((cell) => cell.getBoundingClientRect().right
          - cell.closest(".scroll").getBoundingClientRect().right)"""
"""By how many pixels cells stand out of the place that scrolls."""


@pytest.fixture(scope="module")
def web(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(module_database, tmp_path_factory.mktemp("empty"), ()) as found:
        found.account("finance", "finance")
        yield found


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_the_states_of_the_steps_are_seen_on_a_phone(web: Web, open_page: OpenPage, locale: str) -> None:
    page = open_page(locale=locale, viewport={"width": 360, "height": 740})
    enter(page, web, "finance")
    beyond = page.locator("table.tight td:last-child .state").evaluate_all(ENDS)
    assert len(beyond) == 6
    assert max(beyond) <= 0
