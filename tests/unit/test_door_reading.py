"""The door reads as the contract says, whatever it remembers; and tells its health without waiting for a write."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from jangbu.web.door import Door, DoorLimits
from producers.contract import EventRefused, TimeBounds, decode_event
from producers.door import reading
from producers.door.reading import EventReader
from producers.door.tokens import TokenTable
from producers.outbox import Accepted, Outbox
from producers.outbox_view import OutboxView, Waiting
from tests.faults.events import event, raw
from tests.faults.poison import CORPUS, HARMLESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from producers.contract import UsageEvent


def outcome(read: Callable[[bytes], UsageEvent], value: bytes) -> object:
    try:
        return read(value)
    except EventRefused as refused:
        return refused.code, refused.field, refused.value


@pytest.mark.parametrize("remembered_max", [50_000, 1])
def test_what_is_remembered_changes_no_answer(monkeypatch: pytest.MonkeyPatch, remembered_max: int) -> None:
    monkeypatch.setattr(reading, "REMEMBERED_MAX", remembered_max)
    reader = EventReader()
    values = [*HARMLESS, *(poison.value for poison in CORPUS if poison.value is not None)]
    values += [raw(event("a\x07")), raw(event("a", units={"Bad": 1})), raw(event("a", tags={"a": "\x07"}))]
    values += [raw(event("a", status="cached", units={"requests": 1, "input_tokens": count})) for count in (0, 3)]
    for value in [*values, *values]:
        assert outcome(reader.read, value) == outcome(decode_event, value)


def test_names_are_checked_in_each_new_company() -> None:
    reader = EventReader()
    reader.read(raw(event("a", user="u-1")))
    for changes in ({"user": "u\x07"}, {"user": "u-1", "department": "D\n"}, {"user": "u-1", "source": "\x00"}):
        with pytest.raises(EventRefused, match="control characters"):
            reader.read(raw(event("b", **changes)))  # type: ignore[arg-type]


def rows(count: int) -> list[Accepted]:
    return [Accepted(b"k", json.dumps(number).encode(), 1_000 + number) for number in range(count)]


def test_health_and_depth_are_told_while_a_long_write_runs(tmp_path: Path) -> None:
    with Outbox(tmp_path / "outbox.sqlite") as outbox:
        outbox.append(rows(3))
        door = Door(outbox, lambda: TokenTable("an-owner's-token-00"), DoorLimits(), TimeBounds(), now_ms=lambda: 5_000)
        with outbox.transaction() as sql:
            Outbox.append_in(sql, rows(5))
            assert door.is_well()
            found = door.depth()
        assert (found.rows, found.oldest_s) == (3, 4.0) if found else False
        assert (depth.rows if (depth := door.depth()) else 0) == 8
        door.close()


def test_the_view_takes_no_lock_of_the_writer(tmp_path: Path) -> None:
    """Another process may hold the write lock as long as it likes."""
    path = tmp_path / "outbox ?#.sqlite"
    with Outbox(path) as outbox:
        outbox.append(rows(2))
        outbox.refuse(1, "never")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("begin exclusive")
        view = OutboxView(path)
        assert view.is_readable()
        assert view.waiting() == Waiting(2, 1_001)
        holder.execute("rollback")
        holder.close()
        view.close()


def test_what_cannot_be_read_is_told_as_such(tmp_path: Path) -> None:
    view = OutboxView(tmp_path / "absent.sqlite")
    assert not view.is_readable()
    assert view.waiting() is None
    Outbox(tmp_path / "absent.sqlite").close()
    assert view.is_readable()
    assert view.waiting() == Waiting(0, None)
