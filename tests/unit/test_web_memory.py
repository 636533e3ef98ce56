"""What pages keep for a minute: one computes, changes and marks forget, time ends it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jangbu.web.memory import KEPT_MAX, KEPT_S, Memory


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_kept_until_its_time_its_mark_or_a_change() -> None:
    clock, calls = Clock(), []
    memory = Memory(clock)

    def ask(mark: int = 1) -> int:
        return memory.get("key", mark, lambda: calls.append(1) or len(calls))

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
        assert [one.result() for one in asked] == [1] * 8


def test_what_fails_is_computed_again() -> None:
    memory = Memory()

    def fails() -> int:
        raise RuntimeError("away")

    with pytest.raises(RuntimeError, match="away"):
        memory.get("key", 1, fails)
    assert memory.get("key", 1, lambda: 5) == 5


def test_it_does_not_grow_without_end() -> None:
    memory = Memory()
    for number in range(3 * KEPT_MAX):
        memory.get(number, 1, lambda: 0)
    assert len(memory._kept) <= KEPT_MAX
