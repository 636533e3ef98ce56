"""Hard quotas by reservation: never more used than the limit, whatever is lost, repeated, late or killed in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.quotas.leases import (
    ABANDONED_AFTER_S,
    LOST_AFTER_S,
    Account,
    Asked,
    Life,
    Report,
    Settled,
    Slice,
    apply_grants,
    apply_report,
    free_of,
    grant_of,
    is_over,
)
from jangbu.gateway.slices import Slices

if TYPE_CHECKING:
    import pytest

LIMIT = 100
ACCOUNT = Account(1, "u-1", 0)


class Desk:
    """The door: what it has stored of every life, and what it knows of the sums since it last read them."""

    def __init__(self) -> None:
        self.slices: dict[int, dict[Account, Slice]] = {}
        self.last: dict[int, int] = {}
        self.lives: dict[int, Life] = {}
        self.pending: dict[bytes, tuple[int, int]] = {}
        self.used = 0

    def read(self, ledger: dict[bytes, int], now_s: int) -> None:
        """One snapshot: the sums, and which settled calls are in them; then whose slices count no more."""
        self.used = sum(ledger.values())
        self.pending = {key: told for key, told in self.pending.items() if key not in ledger}
        oldest_s = min((at_s for at_s, _ in self.pending.values()), default=None)
        for life, known in self.lives.items():
            if is_over(known, now_s, oldest_s):
                self.slices.pop(life, None)

    def take(self, life: int, document: dict[str, Any], now_s: int) -> list[tuple[Account, int]] | None:
        """A report's answer; None: this life is known no more."""
        if life in self.lives and life not in self.slices:
            return None
        report = read(document)
        is_new = report.number == self.last.get(life, 0) + 1
        if report.number not in (self.last.get(life, 0), self.last.get(life, 0) + 1):
            return None
        mine = self.slices.setdefault(life, {})
        self.last[life] = report.number
        self.lives[life] = Life(now_s, None, None)
        apply_report(report, mine, is_new=is_new)
        if is_new:
            for one in report.settled:
                self.pending[one.event_key] = (now_s, sum(amount for _, amount in one.amounts))
            slices = [held[ACCOUNT] for held in self.slices.values() if ACCOUNT in held]
            free = free_of(LIMIT, self.used, sum(amount for _, amount in self.pending.values()), slices)
            apply_grants(report, mine, {ACCOUNT: free}, 2)
        return [(account, one.granted) for account, one in mine.items()]


def read(document: dict[str, Any]) -> Report:
    """A report as the door reads it."""
    settled = tuple(
        Settled(event_id.encode(), tuple((Account(*entry[:3]), entry[3]) for entry in used))
        for _, event_id, used in document["settled"]
    )
    asked = tuple(Asked(Account(*entry[:3]), *entry[3:]) for entry in document["accounts"])
    return Report(document["number"], document["closing"], settled, asked)


class World:
    """Two outboxes, one life of a process at each; a log; a ledger; a door."""

    def __init__(self) -> None:
        self.now_s = 0
        self.desk = Desk()
        self.numbers = 0
        self.lives = [self._new_life(), self._new_life()]
        self.slices = [Slices(), Slices()]
        self.calls: list[list[tuple[str, int]]] = [[], []]
        self.outbox: list[dict[bytes, int]] = [{}, {}]
        self.log: dict[bytes, int] = {}
        self.ledger: dict[bytes, int] = {}
        self.written = 0
        self.before: list[list[int]] = [[], []]

    def _new_life(self) -> int:
        self.numbers += 1
        return self.numbers

    def act(self, what: str, at: int, amount: int) -> None:
        getattr(self, what)(at, amount)
        assert self.written <= LIMIT, (what, self.written)

    def call(self, at: int, amount: int) -> None:
        self.numbers += 1
        name = f"c{self.numbers}"
        if not self.slices[at].hold(name, ((ACCOUNT, amount),), self.now_s):
            self.calls[at].append((name, amount))

    def answer(self, at: int, amount: int) -> None:
        if self.calls[at]:
            name, held = self.calls[at].pop(0)
            used = min(held, amount)
            self.written += used
            self.outbox[at][name.encode()] = used
            self.slices[at].ended(name, self.now_s)
            self.slices[at].settle(name, 0, name, ((ACCOUNT, used),))

    def deliver(self, at: int, _amount: int) -> None:
        self.log |= self.outbox[at]
        self.outbox[at] = {}
        for life in self.before[at]:  # what former lives left has gone out with it
            known = self.desk.lives.get(life)
            if known is not None and known.drained_s is None:
                self.desk.lives[life] = known._replace(drained_s=self.now_s)

    def store(self, _at: int, amount: int) -> None:
        for key in list(self.log)[:amount]:
            self.ledger[key] = self.log.pop(key)

    def look(self, _at: int, _amount: int) -> None:
        self.desk.read(self.ledger, self.now_s)

    def report(self, at: int, amount: int) -> None:
        """Its way there or back is lost for some amounts."""
        sent_s, document = self.now_s, self.slices[at].report()
        if amount % 7 == 0:
            return
        answer = self.desk.take(self.lives[at], document, self.now_s)
        if answer is None:
            self.before[at].append(self.lives[at])
            self.lives[at] = self._new_life()
            self.slices[at].begin_anew()
        elif amount % 5:
            self.slices[at].answered(document["number"], answer, sent_s)

    def kill(self, at: int, _amount: int) -> None:
        known = self.desk.lives.get(self.lives[at])
        if known is not None:
            self.desk.lives[self.lives[at]] = known._replace(ended_s=self.now_s)
        self.before[at].append(self.lives[at])
        self.lives[at] = self._new_life()
        self.slices[at] = Slices()
        self.calls[at] = []

    def wait(self, at: int, amount: int) -> None:
        """A long wait: the pipeline is not behind for that long, but for what stands in outboxes."""
        if amount > 30:
            self.store(at, len(self.log))
            if amount > 45:
                self.deliver(0, 0)
                self.deliver(1, 0)
                self.store(at, len(self.log))
                self.now_s += ABANDONED_AFTER_S
            self.now_s += LOST_AFTER_S
            for slices in self.slices:
                assert self.now_s >= slices.valid_until_s
                slices.let_go(self.now_s)
        else:
            self.now_s += amount // 4


STEP = st.tuples(
    st.sampled_from(("deliver", "store", "look", "kill", "wait", *("call", "answer", "report") * 2)),
    st.integers(0, 1),
    st.integers(1, 50),
)


def run(steps: list[tuple[str, int, int]]) -> World:
    world = World()
    for step in steps:
        world.act(*step)
    return world


@given(st.lists(STEP, max_size=120))
@settings(max_examples=300, deadline=None)
def test_never_more_than_the_limit(steps: list[tuple[str, int, int]]) -> None:
    run(steps)


@given(st.lists(STEP, max_size=60))
@settings(max_examples=100, deadline=None)
def test_in_the_end_only_what_was_used_counts(steps: list[tuple[str, int, int]]) -> None:
    """Once everything has arrived and nobody holds anything, the door counts exactly the ledger."""
    world = run(steps)
    for at in (0, 1):
        while world.calls[at]:
            world.answer(at, 50)
        world.deliver(at, 0)
    world.store(0, len(world.log))
    world.now_s += LOST_AFTER_S + ABANDONED_AFTER_S
    for _ in range(3):
        for at in (0, 1):
            world.slices[at].let_go(world.now_s)
            for _ in range(6):
                world.report(at, 1)
        world.look(0, 0)
    left = [one for held in world.desk.slices.values() for one in held.values()]
    assert world.desk.used == world.written == sum(world.ledger.values())
    assert free_of(LIMIT, world.desk.used, sum(amount for _, amount in world.desk.pending.values()), left) == (
        LIMIT - world.written
    )


def test_a_planted_defect_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where settled calls are forgotten as soon as they are told, the limit is broken."""
    once = [("call", 0, 49), ("report", 0, 1), ("call", 0, 49), ("answer", 0, 49)]
    steps = [(what, at, amount) for _ in range(3) for at in (0, 1) for what, _, amount in once]
    run(steps)
    monkeypatch.setitem(globals(), "free_of", lambda limit, *_: limit)
    try:
        run(steps)
    except AssertionError:
        return
    raise AssertionError("the harness does not see a broken limit")


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 20))
def test_a_grant_is_within_what_is_free(free: int, need: int, more: int, processes: int) -> None:
    grant = grant_of(free, need, need + more, processes)
    assert 0 <= grant <= free
    assert grant >= need or (grant == 0 and need > free)
