"""Asking over HTTP against local servers: what is retried, what is refused, and that the key is seen nowhere."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import pytest

from billing.invoices.fetching import transport
from billing.invoices.fetching.apis import OPENAI
from billing.invoices.fetching.errors import FetchRefused, KeyRefused, VendorAway
from billing.invoices.fetching.retrying import BACKOFF_S, TRIES_MAX
from billing.invoices.fetching.transport import Access, VendorClient
from tests.integration.vendor_apis import PLANTED, Patience, Reply, VendorServer, in_turn, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = b'{"object": "page",\n "data": [ ],  "has_more": false, "next_page": null}'
GOOD = Reply(PAGE)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of this machine are asked directly."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def patience() -> Patience:
    return Patience()


def client_of(url: str, patience: Patience) -> VendorClient:
    access = Access(url, PLANTED, "JANGBU_OPENAI_KEY", "JANGBU_OPENAI_URL")
    return VendorClient(OPENAI, access, patience.waiting())


def ask(server: VendorServer, patience: Patience) -> bytes:
    with client_of(server.url, patience) as client:
        return client.get("/v1/organization/costs", [("limit", "31"), ("group_by[]", "a"), ("group_by[]", "b c&d")])


def test_an_answer_is_the_bytes_that_came(patience: Patience) -> None:
    with serving(in_turn(GOOD)) as server:
        assert ask(server, patience) == PAGE
    (seen,) = server.seen
    assert seen.path == "/v1/organization/costs"
    assert seen.query == (("limit", "31"), ("group_by[]", "a"), ("group_by[]", "b c&d"))
    assert seen.headers["authorization"] == f"Bearer {PLANTED}"
    assert seen.headers["accept-encoding"] == "identity"
    assert patience.waits_s == []


@pytest.mark.parametrize(
    ("failing", "waits_s"),
    [
        ([Reply(status=429, headers=(("retry-after", "7"),))], [7]),
        ([Reply(status=429)], [1]),
        ([Reply(status=429, headers=(("Retry-After", "Sun, 22 Nov 2026 09:31:00 GMT"),))], [60]),
        ([Reply(b"<html>busy</html>", 503, kind="text/html")] * 3, [1, 2, 4]),
        ([Reply(status=529), Reply(status=500, headers=(("retry-after", "soon"),))], [1, 2]),
        ([Reply(PAGE, cut_after=20)], [1]),
        ([Reply(PAGE, cut_after=0)], [1]),
        ([Reply(PAGE, cut_after=20, is_bare=True)], [1]),
    ],
    ids=["told-seconds", "untold-429", "told-date", "thrice-503", "529-then-500", "cut", "cut-at-once", "no-length"],
)
def test_what_may_pass_is_tried_again(failing: list[Reply], waits_s: list[int], patience: Patience) -> None:
    with serving(in_turn(*failing, GOOD)) as server:
        assert ask(server, patience) == PAGE
    assert patience.waits_s == waits_s
    assert len(server.seen) == len(failing) + 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=500), f"it answers with status 500, after {TRIES_MAX} tries"),
        (Reply(status=429), f"it asks for fewer requests (429), after {TRIES_MAX} tries"),
        (Reply(PAGE, cut_after=9), f"the connection breaks off (RemoteProtocolError), after {TRIES_MAX} tries"),
        (Reply(PAGE, cut_after=9, is_bare=True), f"the answer ends before its end, after {TRIES_MAX} tries"),
    ],
    ids=["5xx", "429", "cut", "cut-no-length"],
)
def test_what_does_not_pass_is_given_up(reply: Reply, said: str, patience: Patience) -> None:
    with serving(in_turn(reply)) as server, pytest.raises(VendorAway) as away:
        ask(server, patience)
    assert said in str(away.value)
    assert "check JANGBU_OPENAI_URL" in str(away.value)
    assert patience.waits_s == list(BACKOFF_S)
    assert len(server.seen) == TRIES_MAX


def test_a_wait_that_is_too_long_is_not_waited(patience: Patience) -> None:
    reply = Reply(status=429, headers=(("retry-after", "3600"),))
    with serving(in_turn(reply)) as server, pytest.raises(VendorAway, match="asked again in 3600 s"):
        ask(server, patience)
    assert patience.waits_s == []


def test_waits_of_all_requests_together_are_bounded(patience: Patience) -> None:
    busy = Reply(status=429, headers=(("retry-after", "120"),))
    replies = [busy, GOOD] * 5 + [busy]
    with serving(in_turn(*replies)) as server, client_of(server.url, patience) as client:
        for _ in range(5):
            client.get("/p", [])
        with pytest.raises(VendorAway, match="longer than we wait"):
            client.get("/p", [])
    assert patience.waits_s == [120] * 5


def test_nobody_there_is_given_up_by_name(patience: Patience) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with client_of(url, patience) as client, pytest.raises(VendorAway, match="cannot be reached"):
            client.get("/p", [])
    assert patience.waits_s == list(BACKOFF_S)


def test_silence_is_given_up(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SILENCE_S_MAX", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with client_of(url, patience) as client, pytest.raises(VendorAway, match="does not answer in time, after 6"):
            client.get("/p", [])


def test_an_answer_that_drips_is_cut(patience: Patience) -> None:
    waiting = patience.waiting()
    ticks = iter(range(0, 10_000 * transport.NS_IN_S, 60 * transport.NS_IN_S))
    waiting.clock_ns = lambda: next(ticks)
    big = Reply(b'{"data": "' + b"x" * 2_000_000 + b'"}')
    with serving(in_turn(big)) as server:
        access = Access(server.url, PLANTED, "JANGBU_OPENAI_KEY", "JANGBU_OPENAI_URL")
        with VendorClient(OPENAI, access, waiting) as client, pytest.raises(VendorAway, match="longer than 300 s"):
            client.get("/p", [])


def test_everything_together_ends_within_an_hour(patience: Patience) -> None:
    waiting = patience.waiting()
    passed_s = 0
    waiting.clock_ns = lambda: passed_s * transport.NS_IN_S
    with serving(in_turn(GOOD)) as server:
        access = Access(server.url, PLANTED, "JANGBU_OPENAI_KEY", "JANGBU_OPENAI_URL")
        with VendorClient(OPENAI, access, waiting) as client:
            passed_s = 3600
            assert client.get("/p", []) == PAGE
            passed_s = 3601
            with pytest.raises(VendorAway, match="3600 s in all"):
                client.get("/p", [])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html>sign in</html>", kind="text/html"), "content-type is 'text/html' where application/json"),
        (Reply(PAGE, kind=""), "content-type is '' where application/json"),
        (Reply(b'{"data": ['), "its 10 bytes are not readable JSON"),
        (Reply(b'{"data": NaN}'), "are not readable JSON"),
        (Reply(b"\xff\xfe{}"), "are not readable JSON"),
        (Reply(PAGE, headers=(("content-encoding", "gzip"),)), "content-encoding is 'gzip'"),
        (Reply(status=400), "it answers with status 400;"),
        (Reply(b'{"error": {"type": "invalid_request_error", "message": "' + PLANTED.encode() + b'"}}', 400),
         "status 400 (invalid_request_error);"),
        (Reply(b'{"error": {"type": "' + PLANTED.encode() + b'"}}', 404), "it answers with status 404;"),
        (Reply(status=204), "status 204"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_at_once(reply: Reply, said: str, patience: Patience) -> None:
    with serving(in_turn(reply)) as server, pytest.raises(FetchRefused) as refused:
        ask(server, patience)
    assert said in str(refused.value)
    assert PLANTED not in str(refused.value)
    assert patience.waits_s == []
    assert len(server.seen) == 1


def test_json_of_another_name_is_json(patience: Patience) -> None:
    with serving(in_turn(Reply(PAGE, kind="application/vnd.api+json; charset=utf-8"))) as server:
        assert ask(server, patience) == PAGE


def test_an_answer_that_is_too_large_is_refused(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", len(PAGE) - 1)
    with serving(in_turn(GOOD)) as server, pytest.raises(FetchRefused, match=f"more than {len(PAGE) - 1} bytes"):
        ask(server, patience)
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", len(PAGE))
    with serving(in_turn(GOOD)) as server:
        assert ask(server, patience) == PAGE


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_named_by_its_setting(status: int, patience: Patience) -> None:
    echoing = Reply(b'{"error": {"type": "x", "message": "bad key ' + PLANTED.encode() + b'"}}', status)
    with serving(in_turn(echoing)) as server, pytest.raises(KeyRefused) as refused:
        ask(server, patience)
    assert str(refused.value) == (
        f"openai refuses the key of JANGBU_OPENAI_KEY for /v1/organization/costs (status {status}): it must be a valid "
        "admin key that may read costs and usage; nothing was imported"
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_refused_and_gets_no_key(status: int, patience: Patience) -> None:
    with serving(in_turn(GOOD)) as other:
        away = Reply(status=status, headers=(("location", f"{other.url}/v1/organization/costs"),))
        with serving(in_turn(away)) as server, pytest.raises(FetchRefused, match="and the key is sent to"):
            ask(server, patience)
        assert other.seen == []


def test_a_redirect_within_the_host_is_followed(patience: Patience) -> None:
    moved = Reply(status=308, headers=(("location", "/v2/costs?limit=31"),))
    with serving(in_turn(moved, GOOD)) as server:
        assert ask(server, patience) == PAGE
    assert [seen.path for seen in server.seen] == ["/v1/organization/costs", "/v2/costs"]


@pytest.mark.parametrize(
    ("location", "said"),
    [("/again", "redirects more than 3 times"), ("", "it redirects to"), ("https://127.0.0.1/", "it redirects to")],
)
def test_redirects_that_lead_nowhere_are_refused(location: str, said: str, patience: Patience) -> None:
    reply = Reply(status=302, headers=(("location", location),))
    with serving(in_turn(reply)) as server, pytest.raises(FetchRefused, match=said):
        ask(server, patience)


class KeepsAll(logging.Handler):
    """Every record of every logger, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name} {record.getMessage()} {record.args}")


@pytest.fixture
def everything_logged() -> Iterator[KeepsAll]:
    """With every logger at its most talkative."""
    kept, root = KeepsAll(), logging.getLogger()
    before = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept
    root.setLevel(before)
    root.removeHandler(kept)


def test_the_key_stands_in_no_log_and_no_text(patience: Patience, everything_logged: KeepsAll) -> None:
    with serving(in_turn(Reply(status=500), GOOD)) as server, client_of(server.url, patience) as client:
        client.get("/p", [])
        said = [repr(client), str(client.__dict__), repr(Access(server.url, PLANTED, "a", "b"))]
    assert any("httpx2" in text for text in everything_logged.texts), "the client logs nothing: this test sees nothing"
    assert not [text for text in everything_logged.texts + said if PLANTED in text]


def test_a_key_of_letters_that_is_told_as_an_errors_type_is_not_shown(patience: Patience) -> None:
    letters = "keyoflettersonly"
    echoing = Reply(b'{"error": {"type": "' + letters.encode() + b'"}}', 400)
    with serving(in_turn(echoing)) as server:
        access = Access(server.url, letters, "JANGBU_OPENAI_KEY", "JANGBU_OPENAI_URL")
        with VendorClient(OPENAI, access, patience.waiting()) as client, pytest.raises(FetchRefused) as refused:
            client.get("/p", [])
    assert letters not in str(refused.value)
