"""Data quality: every life of the topic that was read, and why a record in quarantine can or cannot be decided."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.web_world import Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

LOGS = """
  insert into topic_log (cluster_id, topic, topic_id, first_seen) values
    ('c', 'old', 'i1', '2026-01-01'), ('c', 'now<i>', 'i2', '2026-02-01'), ('c', 'never read', 'i3', '2026-03-01');
  insert into stream_offset (log_id, partition, next_offset) values (1, 0, 1234), (1, 1, 66), (2, 0, 7);
  insert into stream_chunk (log_id, partition, first_offset, next_offset, records, stored, duplicates, quarantined,
                            worker, committed_at)
    values (1, 0, 0, 1234, 0, 0, 0, 0, 'w', '2026-01-20'), (2, 0, 0, 7, 0, 0, 0, 0, 'w', '2026-02-20')"""
RECORD = """
  insert into quarantine (log_id, partition, kafka_offset, record_time, code, field, value, reason, record_value)
  values (%s, 0, %s, now(), %s, 'id', 'x', 'is wrong', %s)"""


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with psycopg.connect(module_database.owner, autocommit=True) as connection:
        connection.execute(LOGS)
        connection.execute(RECORD, [1, 1, "invalid", b"{}"])
        connection.execute(RECORD, [2, 2, "malformed", None])
        connection.execute(RECORD, [2, 3, "duplicate_other_time", None])
    with running_web(module_database, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def row_of(page: str, number: int) -> str:
    """The row of a record."""
    found = re.search(rf'(?s)<tr>(?:(?!<tr>).)*<th scope="row" class="n">{number}</th>.*?</tr>', page)
    assert found is not None, page
    return found[0]


def test_what_was_read_of_earlier_lives_of_the_topic_is_shown_too(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    found = auditor.get("/api/v1/data-quality").json()
    assert (found["log"]["topic"], found["log"]["read_up_to"]) == ("now<i>", 7)
    assert [one["next_offset"] for one in found["partitions"]] == [7]
    (earlier,) = found["earlier_logs"]
    assert (earlier["topic"], earlier["partitions"], earlier["read_up_to"], earlier["quarantined"]) == (
        "old",
        2,
        1300,
        1,
    )
    assert earlier["last"].startswith("2026-01-2")
    page = auditor.get("/data-quality").text
    assert "Of the topic now&lt;i&gt;, which is read since" in page
    assert re.search(r'<th scope="row">old <small>1</small></th>.*<td class="n">1,300</td><td class="n">1</td>', page)
    assert "never read" not in page
    assert "이전에 읽은 토픽" in auditor.get("/data-quality?lang=ko").text


def test_a_topic_that_was_just_made_anew_is_the_one_that_is_read(web: Web) -> None:
    with psycopg.connect(web.books.context.settings.database_url, autocommit=True) as connection:
        connection.execute("insert into stream_offset (log_id, partition, next_offset) values (3, 0, 0)")
        try:
            found = signed_in(web, "auditor").get("/api/v1/data-quality").json()
        finally:
            connection.execute("delete from stream_offset where log_id = 3")
    assert found["log"]["topic"] == "never read", "nothing is stored of it yet, but it is the newest"
    assert [one["topic"] for one in found["earlier_logs"]] == ["now<i>", "old"]


def test_a_record_that_cannot_be_sent_again_says_why_and_can_be_dismissed(web: Web) -> None:
    platform = signed_in(web, "platform")
    page = platform.get("/data-quality/quarantine").text
    assert "only be dismissed" not in row_of(page, 1)
    assert "data-alone" not in row_of(page, 1)
    for number, why in ((2, "nothing of it is kept"), (3, "its event is counted")):
        assert why in row_of(page, number)
        assert f'name="id" value="{number}" data-alone' in row_of(page, number)
    sent = {"csrf": csrf_of(platform), "id": "3", "reason": "a copy"}
    assert platform.post("/data-quality/quarantine/redrive", data=sent).status_code == 409
    assert platform.post("/data-quality/quarantine/dismiss", data=sent).status_code == 303
    dismissed = platform.get("/data-quality/quarantine?state=dismissed").text
    assert 'name="id" value="3" aria-label' in row_of(dismissed, 3)


def test_who_sees_no_box_is_told_why(web: Web) -> None:
    with web.engine.begin() as connection:
        connection.exec_driver_sql("update quarantine set state = 'redriven' where id = 1")
    auditor, platform = signed_in(web, "auditor"), signed_in(web, "platform")
    page = auditor.get("/data-quality/quarantine").text
    assert "The platform team decides about these records." in page
    assert 'name="id"' not in page
    page = platform.get("/data-quality/quarantine?state=redriven").text
    assert "These were sent again and are decided" in page
    assert 'name="id"' not in page


def test_refusals_about_records_are_in_the_readers_language(web: Web) -> None:
    with web.engine.begin() as connection:
        connection.exec_driver_sql("update quarantine set state = 'redriven' where id = 1")
    platform = signed_in(web, "platform")
    token = csrf_of(platform)

    def refused(action: str, **fields: str) -> str:
        path = f"/data-quality/quarantine/{action}?lang=ko"
        answer = platform.post(path, data={"csrf": token, "reason": "x", **fields})
        assert answer.status_code in (404, 409), answer.text
        assert 'lang="en"' not in answer.text.split("<main", 1)[1].split("</main>", 1)[0]
        return answer.text

    assert "1번은 이미 재투입했습니다" in refused("dismiss", id="1")
    assert "해당하는 격리 기록이 없습니다: 99." in refused("dismiss", id="99")
    assert "nope&#39;의 미처리 기록" in refused("dismiss", code="nope")
    assert "2번(malformed)의 상태는 미처리입니다" in refused("reopen", id="2")
    assert "2번(malformed)의 상태는 미처리입니다" in refused("redrive", id="2")


def test_why_a_record_is_no_event_is_told_in_korean_or_marked_as_english(web: Web) -> None:
    with web.engine.begin() as connection:
        connection.exec_driver_sql("insert into quarantine (log_id, partition, kafka_offset, record_time, code, field,"
                                   " value, reason) values (1, 5, 1, now(), 'empty', 'event', '<i>',"
                                   " 'event is ''<i>'': a record without a value is no event')")  # fmt: skip
    page = signed_in(web, "auditor").get("/data-quality/quarantine?lang=ko").text
    assert "event 값이 &#39;&lt;i&gt;&#39;입니다. 값이 없는 기록은 이벤트가 아닙니다" in page
    assert '<span lang="en">is wrong</span>' in page
