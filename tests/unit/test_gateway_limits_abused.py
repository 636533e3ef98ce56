"""Hard quotas at the gateway and whoever wants more: absurd requests, overrides, lost prices, odd doors."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from billing.quotas.leases import TICKS, Account
from billing.quotas.rates import MODELS_MAX
from billing.quotas.windows import window_of
from jangbu.gateway.asked_models import KEPT_S, AskedModels
from jangbu.gateway.bounds import Bound
from jangbu.gateway.door_client import DoorAway, DoorClient, DoorRefuses
from jangbu.gateway.enforcing import Enforcer
from jangbu.gateway.known import Asked, Caller, Known, most
from jangbu.gateway.settings import GatewaySettings
from jangbu.gateway.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
GPT = Asked("gpt", (("openai", "gpt-5-mini"),))
WHO = Caller("u-1", "D001", None)
ACCESS: dict[str, Any] = {"users": {}, "keys": {}, "pledges": None, "programmes": []}
ACCOUNT = Account(1, "u-1", window_of("day", NOW, "Asia/Seoul").first_hour)


def rule(number: int, unit: str, limit: str, valid_to: str | None = None) -> list[Any]:
    return [number, "user", "u-1", "", unit, "day", limit, "hard", None, valid_to]


def news(*rules: list[Any]) -> dict[str, Any]:
    return {"epoch": "e", "version": 1, "zone": "Asia/Seoul", "whole": True, "quotas": list(rules), "access": ACCESS,
            "used": []}  # fmt: skip


def enforcer_at(url: str, *rules: list[Any]) -> Enforcer:
    settings = GatewaySettings(
        source="gateway-1", department_from="user_api_key_team_id", broker=None, topic="t", url=url,
        token="a-token", directory=Path(), queue_events_max=10, quota="enforce", door_url=url, door_token="a-token",
    )  # fmt: skip
    made = Enforcer(settings, "slot", lambda: True, say=lambda _sentence: None)
    made.known = Known().and_then(news(*rules))
    return made


@contextmanager
def door_that_says(status: int, said: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://{'user:secret'}@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("more", [{"max_tokens": 2**62, "n": 2**62}, {"max_tokens": 101}])
def test_a_call_that_may_use_more_than_the_limit_asks_for_no_slice(more: dict[str, Any]) -> None:
    """The door would refuse the whole report of an absurd number, again and again, and with it everybody's slices."""
    enforcer = enforcer_at("http://127.0.0.1:9", rule(1, "output_tokens", "100"))
    verdict = enforcer.judge(WHO, GPT, {"messages": [], **more}, "acompletion", NOW)
    assert verdict.refusal is not None
    assert (verdict.refusal.status, verdict.refusal.code) == (429, "quota_exceeded")
    assert verdict.refusal.facts["remaining"] == "100"
    within = enforcer.judge(WHO, GPT, {"messages": [], "max_tokens": 100}, "acompletion", NOW)
    assert within.refusal is None
    assert [amount for _, amount in within.needs] == [100]


def test_what_was_spent_stays_spent_when_an_override_has_ended() -> None:
    """While an override holds, nothing is held of the row beneath; when that holds again its slice is no new one."""
    known = Known().and_then(news(rule(1, "tokens", "100"), rule(2, "tokens", "500", (NOW.isoformat()))))
    slices = Slices()
    slices.hold("a", ((ACCOUNT, 60),), 0.0)
    slices.answered(slices.report()["number"], [(ACCOUNT, 60)], 1.0)
    assert slices.hold("a", ((ACCOUNT, 60),), 1.0) == []
    slices.settle("a", 1, "a:1", ((ACCOUNT, 60),))
    slices.ended("a", 1.0)
    slices.answered(slices.report()["number"], [(ACCOUNT, 60)], 2.0)
    slices.forget_before(known.over_at(NOW - timedelta(hours=1)))  # the override holds: row 1 does not
    assert slices.hold("b", ((ACCOUNT, 40),), 3.0) == [ACCOUNT]
    slices.answered(slices.report()["number"], [(ACCOUNT, 60)], 3.0)  # the door has no more of it
    assert slices.hold("b", ((ACCOUNT, 40),), 3.0) == [ACCOUNT]
    slices.forget_before(known.over_at(NOW + timedelta(days=1)))
    assert slices.amounts(ACCOUNT) == (0, 0)


def test_a_report_that_is_refused_for_good_is_not_told_for_ever() -> None:
    """First a new life with what was settled; where that is refused too, without it."""
    slices = Slices()
    slices.settle("a", 1, "a:1", ((ACCOUNT, 5),))
    for number in (1, 2):
        assert slices.report()["number"] == number
        if number == 1:
            slices.answered(1, [], 1.0)
    assert slices.refused() == 0
    slices.settle("b", 1, "b:1", ((ACCOUNT, 5),))
    again = slices.report()
    assert (again["number"], [event for _, event, _ in again["settled"]]) == (1, ["b:1"])
    assert slices.refused() == 1
    assert slices.is_idle()
    enforcer = enforcer_at("", rule(1, "tokens", "100"))
    with door_that_says(400, b"{}") as url:
        client = DoorClient(url, "a-token")
        enforcer.slices.settle("c", 1, "c:1", ((ACCOUNT, 5),))
        with pytest.raises(DoorRefuses) as refused:
            enforcer._report(client)
        client.close()
    assert "secret" not in str(refused.value)
    assert enforcer.slices.is_idle()


@pytest.mark.parametrize("said", [b"{}", b"[]", b"null", b'{"version": 2, "epoch": "e"}'])
def test_a_gateway_starts_whatever_stands_at_the_doors_address(said: bytes) -> None:
    with door_that_says(200, said) as url:
        enforcer = enforcer_at(url)
        enforcer.start()
        assert not enforcer.document()["known"]
        enforcer.close(0.1)
    with pytest.raises(DoorAway):
        DoorClient("http://127.0.0.1:9", "a-token").news(None, -1, 0.0)


def test_a_price_that_the_door_says_no_more_of_is_unknown() -> None:
    models = AskedModels()
    models.ask(GPT.models, 0.0)
    models.learn([["KRW", "openai", "gpt-5-mini", {"input_tokens": 3}]])
    assert models.rates
    models.learn([])  # the price has ended, or no rate of exchange converts it
    assert models.rates == {}
    assert models.has_asked(GPT.models)  # and nobody waits for it
    assert models.latest(KEPT_S) == []
    assert not models.has_asked(GPT.models)


def test_names_that_callers_make_up_do_not_crowd_out_a_model() -> None:
    models = AskedModels()
    models.ask([("", f"a-{number}") for number in range(1_000)], 0.0)
    models.ask(GPT.models, 1.0)
    told = models.latest(2.0)
    assert len(told) == MODELS_MAX
    assert GPT.models[0] in told
    assert len(json.dumps(told)) < 10_000


def test_half_a_price_is_none() -> None:
    left = Known().and_then(news(rule(1, "KRW", "100"))).left(WHO, GPT, NOW)[0]
    both = {"input_tokens": TICKS, "output_tokens": 2 * TICKS}
    assert most(left, GPT, Bound(10, 4), {("KRW", *GPT.models[0]): both}) == 18 * TICKS
    for unit in both:
        half = {name: ticks for name, ticks in both.items() if name != unit}
        assert most(left, GPT, Bound(10, 4), {("KRW", *GPT.models[0]): half}) is None
    assert most(left, GPT, Bound(10, 0), {("KRW", *GPT.models[0]): {"input_tokens": 1}}) == 10
