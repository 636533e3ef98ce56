"""One box ticks those that can be sent again; what can only be dismissed is ticked by itself, with a keyboard too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.browser.city_world import enter
from tests.web_world import running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from jangbu.services.postgres import DatabaseUrls
    from tests.web_world import Web

RECORDS = """
  insert into topic_log (cluster_id, topic, topic_id) values ('c', 't', 'i');
  insert into quarantine (log_id, partition, kafka_offset, record_time, code, field, value, reason, record_value)
  values (1, 0, 1, now(), 'invalid', 'id', 'x', 'is wrong', 'x'), (1, 0, 2, now(), 'empty', 'event', '', '', null)"""


@pytest.fixture(scope="module")
def web(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with psycopg.connect(module_database.owner, autocommit=True) as connection:
        connection.execute(RECORDS)
    with running_web(module_database, tmp_path_factory.mktemp("web"), ()) as found:
        found.account("platform", "platform")
        yield found


def test_one_box_ticks_what_can_be_sent_and_unticks_all(web: Web, page: Page) -> None:
    enter(page, web, "platform", "/data-quality/quarantine")
    every, sent, alone = page.locator("[data-ticks]"), page.locator("[value='1']"), page.locator("[value='2']")
    every.check()
    assert (sent.is_checked(), alone.is_checked()) == (True, False)
    alone.focus()
    page.keyboard.press("Space")
    assert alone.is_checked()
    every.uncheck()
    assert (sent.is_checked(), alone.is_checked()) == (False, False)
