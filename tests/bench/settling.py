"""Stands for a publisher beside the door: takes rows out of an outbox as quickly as they come, and no Kafka has them.

What matters to the door is the file that both write: rows are read, and settled in transactions of their own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from producers.outbox import LogId, Outbox, Published

IDLE_S = 0.02
SENT_A_SECOND = 60_000
"""How fast it waits as if for Kafka's acknowledgements."""


def settle_for_ever(path: Path) -> None:
    """Until it is ended."""
    log = LogId("no-cluster", "no-topic")
    with Outbox(path) as outbox:
        while True:
            rows = outbox.read_pending()
            time.sleep(len(rows) / SENT_A_SECOND or IDLE_S)
            outbox.settle(log, [Published(row.seq, 0, row.seq) for row in rows], keep=False)


if __name__ == "__main__":
    settle_for_ever(Path(sys.argv[1]))
