"""Ending the keeper of quotas: nothing of it stays behind that still holds a connection."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.pledges.pledge import PledgeRules
from jangbu.web.quota_keeper import QuotaKeeper
from tests.web_world import running_web

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres


def listening() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "quotas-hearing"]


@pytest.fixture(name="urls")
def fixture_urls(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database quota_listening template {_migrated_template}")
    return postgres_server.urls_of("quota_listening")


def test_closing_waits_for_the_thread_that_listens(urls: DatabaseUrls, tmp_path: Path) -> None:
    with running_web(urls, tmp_path) as web:

        def connect(role: Any) -> Any:
            return nullcontext(web.books.engine(role))

        keeper = QuotaKeeper(connect, "Asia/Seoul", PledgeRules("1", None))
        keeper.start()
        deadline = time.monotonic() + 30
        while keeper.board() is None or not listening():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        keeper.close()
        assert listening() == []
