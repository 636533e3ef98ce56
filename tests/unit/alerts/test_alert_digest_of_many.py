"""A message of very many alerts: the gravest in full, a line for each of the others, bounded, with hostile names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from billing.alerts.alert import Alert, uid_of
from billing.alerts.messages import DETAILED_MAX, Message, message_of

NOW = datetime.fromisoformat("2026-10-15T12:00:00+09:00")
HOSTILE = "<script>alert(1)</script>\r\n\u202e" + "가" * 300


def alert(number: int, severity: Any, name: str) -> Alert:
    told = {"model": HOSTILE, "unit": "tokens", "window": "day", "window_hour": 497_000, "used": "60", "limit": "100",
            "threshold": "50"}  # fmt: skip
    key = f"key-{number}"
    return Alert(number, uid_of("threshold", key), "threshold", key, severity, "user", name, None, None, told, (), None,
                 NOW)  # fmt: skip


def digest(count: int, language: Any, *, hostile: bool = False) -> Message:
    """Alerts of which the last is the gravest."""
    alerts = [
        alert(number, "critical" if number == count - 1 else "info", HOSTILE if hostile else f"user-{number:04}")
        for number in range(count)
    ]
    return message_of(alerts, [f"{number:032x}" for number in range(count)], "Asia/Seoul", language)


@pytest.mark.parametrize(("language", "more"), [("en", "980 more"), ("ko", "알림 980건")])
def test_a_thousand_are_told_the_gravest_first_and_the_others_a_line_each(language: Any, more: str) -> None:
    said = digest(1_000, language)
    assert "user-0999" in said.subject
    assert said.text.index("user-0999") < said.text.index("user-0000")
    assert all(said.text.count(f"user-{number:04}") >= 1 for number in range(1_000))
    for words in (said.text, said.html):
        assert more in words
    assert said.html.count("<table>") == DETAILED_MAX
    assert said.html.count("<li>") == 1_000 - DETAILED_MAX
    assert f"{999:032x}" in said.text, "the gravest has the id of its own delivery"


@pytest.mark.parametrize("count", [1, 2, DETAILED_MAX])
def test_few_are_all_told_in_full(count: int) -> None:
    said = digest(count, "en")
    assert said.html.count("<table>") == count
    assert "more (in full" not in said.text


def test_the_most_that_go_together_stay_below_what_chat_shows() -> None:
    """Slack cuts at 40,000 characters."""
    assert len(digest(200, "en").text) < 40_000
    assert len(digest(200, "ko", hostile=True).text) < 40_000
    assert "<script" not in digest(200, "ko", hostile=True).html
