"""The outbox: what is durable, what leaves when, and what it says of a full disk or a damaged file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from producers.outbox import Accepted, LogId, Outbox, OutboxError, Published
from producers.publishing_lock import PublishingLock

LOG = LogId("cluster-1", "topic-1")
OTHER = LogId("cluster-2", "topic-2")


def rows(count: int, start: int = 0) -> list[Accepted]:
    numbers = range(start, start + count)
    return [Accepted(f"s/{n}".encode(), f"value {n}".encode(), 1_790_000_000_000 + n) for n in numbers]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "outbox.sqlite"


def test_rows_come_back_in_sequence(path: Path) -> None:
    with Outbox(path) as outbox:
        assert outbox.last_seq() == 0
        assert outbox.append(rows(3)) == 3
        assert outbox.append(rows(2, 3)) == 5
    with Outbox(path) as outbox:
        pending = outbox.read_pending()
        assert [(row.seq, row.key, row.value, row.accepted_ms) for row in pending] == [
            (n + 1, *row) for n, row in enumerate(rows(5))
        ]
        assert [row.seq for row in outbox.read_pending(after_seq=2, rows_max=2)] == [3, 4]


def test_reading_is_bounded_in_bytes_but_never_empty(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append([Accepted(b"k", b"x" * 100, 0)] * 5)
        assert len(outbox.read_pending(bytes_max=250)) == 2
        assert len(outbox.read_pending(bytes_max=1)) == 1


def test_a_durable_broker_lets_rows_leave_at_once(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(rows(4))
        outbox.settle(LOG, [Published(1, 0, 10), Published(2, 1, 7), Published(3, 0, 11)], keep=False)
        assert [row.seq for row in outbox.read_pending()] == [4]
        assert outbox.held_count() == 1
        assert outbox.reach(LOG) == {0: 12, 1: 8}
        assert outbox.reach(OTHER) == {}


def test_a_forgetful_broker_keeps_rows_until_they_are_stored(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(rows(4))
        outbox.settle(LOG, [Published(n + 1, 0, n) for n in range(4)], keep=True)
        assert outbox.read_pending() == []
        assert outbox.pending_count() == 0
        assert outbox.held_count() == 4
        assert outbox.confirm({(LOG, 0): 0, (OTHER, 0): 99, (LOG, 1): 99}) == 0
        assert outbox.confirm({(LOG, 0): 3}) == 3, "offsets below the stored one, and not the stored one itself"
        assert outbox.held_count() == 1


def test_a_broker_started_anew_gets_again_what_is_not_stored(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(rows(4))
        outbox.settle(LOG, [Published(n + 1, 0, n) for n in range(4)], keep=True)
        outbox.confirm({(LOG, 0): 2})
        assert outbox.published_elsewhere(LOG, 99) == 0
        assert outbox.published_elsewhere(OTHER, 99) == 2
        assert outbox.published_elsewhere(OTHER, 3) == 1
        assert outbox.unpublish_others(OTHER) == 2
        assert [row.seq for row in outbox.read_pending()] == [3, 4]
        outbox.settle(OTHER, [Published(3, 0, 0), Published(4, 0, 1)], keep=True)
        assert outbox.unpublish_others(OTHER) == 0
        assert outbox.forget_published() == 2


def test_a_sequence_number_is_never_given_twice(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(rows(3))
        outbox.settle(LOG, [Published(n, 0, n) for n in (1, 2, 3)], keep=False)
        assert outbox.append(rows(1)) == 4


def test_a_refused_row_is_kept_aside_and_tried_again(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(rows(3))
        outbox.refuse(2, "too large")
        assert [row.seq for row in outbox.read_pending()] == [1, 3]
        assert outbox.refused() == [(2, "too large")]
        assert (outbox.pending_count(), outbox.pending_count(1)) == (3, 1)
        assert outbox.retry_refused() == 1
        assert [row.seq for row in outbox.read_pending()] == [1, 2, 3]


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    with Outbox(path) as outbox:
        assert outbox.query("pragma synchronous") == [(2,)]
        assert outbox.query("pragma journal_mode") == [("wal",)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_failed_transaction_leaves_nothing(path: Path) -> None:
    with Outbox(path) as outbox:
        with pytest.raises(OutboxError), outbox.transaction() as sql:
            outbox.append_in(sql, [*rows(2), ("only a key",)])  # type: ignore[list-item]
        assert outbox.held_count() == 0
        assert outbox.append(rows(1)) == 1


def test_a_full_disk_takes_nothing_and_says_what_to_do(path: Path) -> None:
    with Outbox(path, bytes_max=256 * 1024) as outbox:
        outbox.append(rows(10))
        with pytest.raises(OutboxError, match=r"outbox\.sqlite is full.*nothing was accepted.*free space"):
            outbox.append([Accepted(b"k", b"x" * 1000, 0)] * 1000)
        assert outbox.held_count() == 10, "all of a batch or nothing"
        outbox.settle(LOG, [Published(n, 0, n) for n in range(1, 11)], keep=False)
        assert outbox.append(rows(1)) == 11, "it goes on when there is room again"


def test_a_damaged_file_is_named_with_the_remedy(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, " * 500)
    with pytest.raises(OutboxError, match=r"outbox\.sqlite is damaged.*move it away"):
        Outbox(path)


def test_a_file_damaged_in_the_middle_is_named_too(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append([Accepted(b"k", os.urandom(500), 0) for _ in range(2000)])
        outbox.query("pragma wal_checkpoint(truncate)")
    content = bytearray(path.read_bytes())
    content[4096:400_000] = os.urandom(len(content[4096:400_000]))
    path.write_bytes(content)

    def use() -> None:
        with Outbox(path) as outbox:
            outbox.read_pending()
            outbox.append(rows(1))

    with pytest.raises(OutboxError, match="is damaged"):
        use()


def test_the_file_shrinks_when_rows_have_left(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append([Accepted(b"k", os.urandom(500), 0) for _ in range(2000)])
        outbox.settle(LOG, [Published(n, 0, n) for n in range(1, 2001)], keep=False)
        outbox.give_back_space()
    assert path.stat().st_size < 200_000


def test_a_newer_outbox_is_left_alone(path: Path) -> None:
    Outbox(path).close()
    sql = sqlite3.connect(path)
    sql.execute("pragma user_version=9")
    sql.close()
    with pytest.raises(OutboxError, match="version 9"):
        Outbox(path)


def test_threads_share_one_outbox(path: Path) -> None:
    with Outbox(path) as outbox:
        threads = [
            threading.Thread(target=lambda n=n: [outbox.append(rows(10, n * 1000 + k * 10)) for k in range(10)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        keys = [row.key for row in outbox.read_pending()]
        assert len(keys) == len(set(keys)) == 400


APPENDER = """
import sys
from pathlib import Path
from producers.outbox import Accepted, Outbox
outbox = Outbox(Path(sys.argv[1]))
number = 0
while True:
    last = outbox.append([Accepted(b"k%d" % (number + k), b"v" * 200, 0) for k in range(7)])
    number += 7
    print(last, flush=True)
"""


def test_what_append_answered_survives_sigkill(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", APPENDER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split()]
    with Outbox(path) as outbox:
        held = outbox.held_count()
        assert held >= acknowledged[-1]
        assert held % 7 == 0, "a batch is there as a whole or not at all"
        assert [row.key for row in outbox.read_pending(rows_max=held)] == [b"k%d" % n for n in range(held)]


def test_one_publishes_at_a_time(path: Path) -> None:
    first, second = PublishingLock(path), PublishingLock(path)
    assert not second.holder_runs_on()
    assert first.acquire(runs_on=True)
    assert not second.acquire(runs_on=False)
    assert second.holder_runs_on()
    first.release()
    assert second.acquire(runs_on=False)
    assert not first.acquire(runs_on=True)
    assert not first.holder_runs_on(), "it ends when the outbox is empty: nobody may leave rows to it"
    second.release()
    assert not first.holder_runs_on()


def test_the_lock_of_a_killed_publisher_is_free(path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from producers.publishing_lock import PublishingLock\n"
        "assert PublishingLock(Path(sys.argv[1])).acquire(runs_on=True)\nprint('held', flush=True)\ntime.sleep(60)"
    )
    lock = PublishingLock(path)
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        held = not lock.acquire(runs_on=False)
        process.kill()
    assert held
    assert lock.acquire(runs_on=False)
    lock.release()
