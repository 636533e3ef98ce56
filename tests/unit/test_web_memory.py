"""What pages keep for a minute: one computes, changes and marks forget, time ends it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jangbu.web.memory import KEPT_MAX, KEPT_S, REST, STALE_S, UNUSED_S, Memory


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_kept_until_its_time_its_mark_or_a_change() -> None:
    clock, calls = Clock(), []
    memory = Memory(clock)

    def ask(mark: int = 1) -> int:
        return memory.get("key", mark, lambda: calls.append(1) or len(calls))[0]

    assert (ask(), ask()) == (1, 1)
    assert ask(mark=2) == 2, "an input changed"
    clock.now += KEPT_S - 0.1
    assert ask(mark=2) == 2
    clock.now += 0.2
    assert ask(mark=2) == 3, "a minute has passed"
    memory.forget()
    assert ask(mark=2) == 4, "a page changed something"
    assert memory.changes == 1


def test_of_many_at_once_one_computes() -> None:
    memory, calls, begun = Memory(), [], threading.Event()

    def compute() -> int:
        calls.append(1)
        begun.wait(1)
        return len(calls)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(memory.get, "key", 1, compute) for _ in range(8)]
        begun.set()
        assert [one.result() for one in asked] == [(1, None)] * 8


def test_what_fails_is_computed_again() -> None:
    memory = Memory()

    def fails() -> int:
        raise RuntimeError("away")

    with pytest.raises(RuntimeError, match="away"):
        memory.get("key", 1, fails)
    assert memory.get("key", 1, lambda: 5) == (5, None)


def test_it_does_not_grow_without_end() -> None:
    memory = Memory()
    for number in range(3 * KEPT_MAX):
        memory.get(number, 1, lambda: 0)
    assert len(memory._kept) <= KEPT_MAX


def test_while_no_use_came_a_value_stays() -> None:
    clock, calls = Clock(), []
    memory = Memory(clock)

    def ask(usage: str) -> int:
        return memory.get("key", 1, lambda: calls.append(1) or len(calls), usage=usage)[0]

    assert ask("offset 5") == 1
    clock.now += UNUSED_S - 1
    assert ask("offset 5") == 1, "nothing came"
    assert ask("offset 6") == 2, "use came, and a minute has passed"
    clock.now += KEPT_S - 1
    assert ask("offset 7") == 2, "use came within the minute"
    clock.now += UNUSED_S
    assert ask("offset 6") == 3, "what no mark tells is seen in the end"


def test_an_old_value_is_shown_with_its_time_while_it_is_computed_anew() -> None:
    clock, refreshed = Clock(), threading.Event()
    memory = Memory(clock)

    def refresh() -> int:
        refreshed.wait(5)
        return 2

    def ask() -> tuple[int, object]:
        return memory.get("key", 1, lambda: 1, usage=clock.now, refresh=refresh)

    assert ask() == (1, None)
    clock.now += KEPT_S
    value, as_of = ask()
    assert value == 1
    assert as_of is not None, "the reader is told of when it is"
    refreshed.set()
    memory.close()
    assert ask() == (2, None)
    clock.now += STALE_S
    assert memory.get("key", 1, lambda: 3, usage=0, refresh=refresh) == (3, None), "too old to be shown"


def test_what_took_long_is_computed_anew_more_seldom() -> None:
    clock, calls = Clock(), []
    memory = Memory(clock)

    def compute() -> int:
        clock.now += 10
        return 1

    def ask() -> tuple[int, object]:
        return memory.get("key", 1, compute, usage=clock.now, refresh=lambda: calls.append(1) or 2)

    assert ask() == (1, None)
    clock.now += REST * 10 - 20
    assert ask()[0] == 1
    assert calls == []
    clock.now += 20
    assert ask()[0] == 1
    memory.close()
    assert calls == [1]


def test_what_was_begun_before_a_change_is_not_kept() -> None:
    memory = Memory()

    def compute() -> int:
        memory.forget()  # another page changes something meanwhile
        return 1

    assert memory.get("key", 1, compute) == (1, None)
    assert memory.get("key", 1, lambda: 2) == (2, None)
