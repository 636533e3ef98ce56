"""The door's rules without a server: tokens, rates, compression, group commit, counts, and what a refusal repeats."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as some

from producers.contract import EventRefused, TimeBounds, decode_event
from producers.door.bodies import (
    Admission,
    BodyRefused,
    MediaRefused,
    SourceForbidden,
    TooManyEvents,
    admit,
    bad_event,
    parts_of,
)
from producers.door.compression import BodyBroken, BodyTooLarge, EncodingUnknown, expand
from producers.door.counts import Depth, DoorCounts
from producers.door.group_commit import GroupWriter, Overloaded, WriterEnded
from producers.door.rate import EventRate
from producers.door.tokens import TokenTable, digest_of, read_tokens
from producers.outbox import Accepted, Outbox, OutboxError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW_MS = 1_790_989_323_000
OWNER = "the-owner's-own-token"


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "type": "ai.usage.v1", "source": "g", "id": f"id-{number}",
        "time": "2026-10-03T01:02:03Z",
        "data": {"model": "m", "provider": "p", "units": {"input_tokens": number}}, **changes,
    }  # fmt: skip


def admission(sources: frozenset[str] | None = None) -> Admission:
    return Admission(lambda part: [decode_event(part)], TimeBounds(), NOW_MS, sources)


def rows(*numbers: int) -> list[Accepted]:
    return [Accepted(b"g/%d" % number, b"{}", NOW_MS) for number in numbers]


@given(some.lists(some.integers(0, 1000), min_size=1, max_size=20), some.sampled_from(["array", "lines", "json"]))
def test_every_shape_brings_the_same_events(numbers: list[int], shape: str) -> None:
    packed = [json.dumps(event(number)).encode() for number in numbers]
    body = b"\n".join(packed) if shape == "lines" else b"[" + b",".join(packed) + b"]"
    media = {"array": "application/cloudevents-batch+json", "lines": "application/x-ndjson", "json": "application/json"}
    taken = admit(parts_of(media[shape], body, {}, 100), admission())
    assert [row.key for row in taken] == [b"g/id-%d" % number for number in numbers]
    assert {row.accepted_ms for row in taken} == {NOW_MS}


@given(some.lists(some.booleans(), min_size=1, max_size=12))
def test_every_bad_event_is_named_and_one_spoils_all(good: list[bool]) -> None:
    parts = [json.dumps(event(number if fine else -1)).encode() for number, fine in enumerate(good)]
    if all(good):
        assert len(admit(parts, admission())) == len(good)
        return
    with pytest.raises(BodyRefused) as refused:
        admit(parts, admission())
    assert [bad.index for bad in refused.value.bad] == [place for place, fine in enumerate(good) if not fine]


@pytest.mark.parametrize(("count", "refused"), [(9, False), (10, False), (11, True)])
def test_at_most_so_many_events(count: int, *, refused: bool) -> None:
    body = b"{}\n" * count
    if not refused:
        assert len(parts_of("application/x-ndjson", body, {}, 10)) == count
        return
    with pytest.raises(TooManyEvents, match="11 events"):
        parts_of("application/x-ndjson", body, {}, 10)


def test_media_that_bring_none() -> None:
    with pytest.raises(MediaRefused):
        parts_of("text/html", b"{}", {}, 10)
    with pytest.raises(MediaRefused):
        parts_of("text/html", b"{}", {"ce-specversion": "1.0"}, 10)


def test_a_source_of_another_is_named() -> None:
    parts = [json.dumps(event(1)).encode(), json.dumps(event(2, source="h")).encode()]
    with pytest.raises(SourceForbidden) as refused:
        admit(parts, admission(frozenset({"g"})))
    assert [(bad.index, bad.value) for bad in refused.value.bad] == [(1, "'h'")]


@pytest.mark.parametrize(
    ("changes", "field", "shown"),
    [
        ({"time": "yesterday"}, "time", "'yesterday'"),
        ({"data": {"model": "m", "provider": "p", "units": {"input_tokens": "a prompt"}}}, "data.units.input_tokens",
         "a text"),
        ({"data": {"model": "m", "provider": "p", "units": "a prompt"}}, "data.units", "'a prompt'"),
        ({"data": {"model": "m", "provider": "p", "units": {"a": 1}, "tags": {"a": ["a prompt"]}}}, "data.tags.a",
         "an array"),
        ({"data": "a prompt"}, "data", "a text"),
        ({"subject": "u" * 300}, "subject", f"'{'u' * 77}...'"),
    ],
)  # fmt: skip
def test_what_a_refusal_repeats(changes: dict[str, Any], field: str, shown: str) -> None:
    with pytest.raises(EventRefused) as refused:
        decode_event(json.dumps(event(1, **changes)).encode())
    bad = bad_event(0, refused.value)
    assert (bad.field, bad.value) == (field, shown)
    assert len(bad.reason) <= 300


def test_only_our_tokens_in_the_right_scheme_open() -> None:
    table = TokenTable(OWNER, read_tokens(f"a token-of-gateway-a\nb sha256:{digest_of('token-of-gateway-b').hex()}\n"))
    assert [table.bearer_of(f"Bearer {token}") for token in ("", "x", OWNER[:-1], OWNER + "x")] == [None] * 4
    assert [table.bearer_of(text) for text in (None, "", OWNER, f"Basic {OWNER}")] == [None] * 4
    owner, first, second = (
        table.bearer_of(f"bearer {token}") for token in (OWNER, "token-of-gateway-a", "token-of-gateway-b")
    )
    assert owner is not None
    assert first is not None
    assert second is not None
    assert (owner.sources, first.sources, second.sources) == (None, frozenset({"a"}), frozenset({"b"}))
    assert "token-of-gateway" not in repr((owner, first, second))


def test_a_token_may_speak_for_several_sources_or_any() -> None:
    lines = "a token-of-gateway-a\nb token-of-gateway-a\n* token-of-anybody-1\n\n# x y z\n"
    table = TokenTable(OWNER, read_tokens(lines))
    several, anybody = table.bearer_of("Bearer token-of-gateway-a"), table.bearer_of("Bearer token-of-anybody-1")
    assert several is not None
    assert anybody is not None
    assert (several.sources, anybody.sources) == (frozenset({"a", "b"}), None)


@pytest.mark.parametrize(
    "line", ["gate-1", "a b gate-2", "a short-token", "a sha256:xyz", f"a sha256:{'0' * 62}", "a ключ" * 9]
)
def test_a_line_that_names_no_token_is_named_without_it(line: str) -> None:
    with pytest.raises(ValueError, match="line 2") as refused:
        read_tokens(f"\n{line}")
    assert line.split()[-1] not in str(refused.value)


def test_a_sender_is_slowed_down_after_its_burst_and_others_are_not() -> None:
    rate = EventRate(10)
    assert rate.wait_s("a", 0) == 0
    rate.take("a", 50, 0)
    assert rate.wait_s("a", 0) == pytest.approx(3.1)
    assert (rate.wait_s("a", 2.9) > 0, rate.wait_s("a", 3.2), rate.wait_s("b", 0)) == (True, 0, 0)


@given(some.lists(some.tuples(some.integers(1, 40), some.integers(0, 5)), max_size=40))
def test_no_more_than_the_rate_passes_in_the_long_run(bodies: list[tuple[int, int]]) -> None:
    rate, now_s, passed = EventRate(10), 0.0, 0
    for events, pause_s in bodies:
        now_s += pause_s
        if rate.wait_s("a", now_s) == 0:
            rate.take("a", events, now_s)
            passed += events
    assert passed <= 10 * (now_s + 2) + 40


@given(some.binary(max_size=2_000), some.sampled_from(["gzip", "zstd", "identity", ""]), some.integers(0, 2_000))
def test_what_is_expanded_is_what_was_packed_or_too_large(body: bytes, encoding: str, bytes_max: int) -> None:
    packed = {"gzip": gzip.compress, "zstd": zstandard.compress}.get(encoding, bytes)(body)
    if encoding in ("", "identity"):
        assert expand(packed, encoding, bytes_max) == body
    elif len(body) > bytes_max:
        with pytest.raises(BodyTooLarge):
            expand(packed, encoding, bytes_max)
    elif body or encoding == "gzip":
        assert expand(packed, encoding, bytes_max) == body


def test_members_and_frames_that_follow_one_another_are_one_body() -> None:
    assert expand(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", 2) == b"ab"
    assert expand(zstandard.compress(b"a") + zstandard.compress(b"b"), "zstd", 2) == b"ab"
    with pytest.raises(BodyTooLarge):
        expand(gzip.compress(b"a") * 3, "gzip", 2)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_is_cut_off_is_broken(encoding: str) -> None:
    packed = {"gzip": gzip.compress, "zstd": zstandard.compress}[encoding](bytes(range(256)) * 20)
    with pytest.raises(BodyBroken):
        expand(packed[: len(packed) // 2], encoding, 100_000)
    with pytest.raises(EncodingUnknown):
        expand(packed, "deflate", 100_000)


class Slow:
    """An outbox whose commits wait to be let go; each commit's rows are noted."""

    def __init__(self) -> None:
        self.let_go = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.commits: list[list[bytes]] = []
        self.error: Exception | None = None

    def append(self, given: Sequence[Accepted]) -> None:
        self.began.release()
        assert self.let_go.acquire(timeout=20)
        if self.error is not None:
            raise self.error
        self.commits.append([row.key for row in given])


def test_requests_that_come_during_a_commit_share_the_next_one_and_none_is_told_before() -> None:
    outbox, told = Slow(), []
    writer = GroupWriter(outbox.append)
    for number in range(6):
        writer.offer(rows(number), lambda error, number=number: told.append((number, error)))  # type: ignore[misc]
        if number == 0:
            assert outbox.began.acquire(timeout=20)
    assert told == [], "nothing is durable yet"
    outbox.let_go.release()
    assert outbox.began.acquire(timeout=20)
    assert told == [(0, None)]
    outbox.let_go.release()
    writer.close()
    assert told == [(number, None) for number in range(6)]
    assert outbox.commits == [[b"g/0"], [b"g/1", b"g/2", b"g/3", b"g/4", b"g/5"]]


def test_a_failed_commit_is_told_to_all_of_its_group_and_to_nobody_else() -> None:
    outbox, told = Slow(), []
    writer = GroupWriter(outbox.append)
    outbox.error = OutboxError("full")
    writer.offer(rows(1), told.append)
    assert outbox.began.acquire(timeout=20)
    outbox.let_go.release()
    writer.offer(rows(2), told.append)
    assert outbox.began.acquire(timeout=20)
    outbox.error = None
    outbox.let_go.release()
    writer.close()
    assert [type(error) for error in told] == [OutboxError, type(None)]
    with pytest.raises(WriterEnded):
        writer.offer(rows(3), told.append)


def test_more_than_may_wait_is_refused_at_once() -> None:
    outbox, told = Slow(), []
    writer = GroupWriter(outbox.append, waiting_bytes_max=5)
    writer.offer(rows(1), told.append)
    assert outbox.began.acquire(timeout=20)
    writer.offer(rows(2, 3), told.append)
    with pytest.raises(Overloaded):
        writer.offer(rows(4), told.append)
    outbox.let_go.release(2)
    writer.close()
    assert told == [None, None]


def test_a_full_outbox_takes_nothing_of_a_group(tmp_path: Path) -> None:
    told: list[BaseException | None] = []
    with Outbox(tmp_path / "outbox.sqlite", bytes_max=100_000) as outbox:
        writer = GroupWriter(outbox.append)
        large = [Accepted(b"k", b"x" * 50_000, NOW_MS)] * 3
        writer.offer(large, told.append)
        writer.close()
        assert isinstance(told[0], OutboxError)
        assert outbox.held_count() == 0


def test_figures_are_as_prometheus_reads_them() -> None:
    counts = DoorCounts(accepted_events=3)
    counts.refused["rate"] += 2
    lines = counts.text(Depth(5, 1.25), commits=2).splitlines()
    assert 'jangbu_http_refused_total{reason="rate"} 2' in lines
    assert {"jangbu_http_events_accepted_total 3", "jangbu_outbox_oldest_seconds 1.250"} <= set(lines)
    assert all(line.startswith("# ") or len(line.rsplit(" ", 1)) == 2 for line in lines)
    unreadable = counts.text(None, commits=2)
    assert "jangbu_outbox_readable 0" in unreadable
    assert "jangbu_outbox_pending_events" not in unreadable
