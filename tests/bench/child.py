"""The processes that are measured, each by itself: `python tests/bench/child.py ROLE SETTINGS-AS-JSON`.

Roles: the product's worker and publisher; what they are compared with: a plain Faust agent, a bare confluent-kafka loop
with the same SQL, COPY alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CHECKOUT = str(Path(__file__).resolve().parents[2])
if CHECKOUT not in sys.path:
    sys.path.insert(0, CHECKOUT)
sys.path = [place for place in sys.path if place != str(Path(__file__).parent)]


def run_product_worker(settings: dict[str, Any]) -> int:
    """The worker of `jangbu worker`, with its settings given directly."""
    from producers.topic import TopicLog
    from streams.worker import WorkerSettings, run_worker

    return run_worker(
        WorkerSettings(
            bootstrap=settings["bootstrap"],
            database_url=settings["database_url"],
            log=TopicLog(**settings["log"]),
            data_dir=settings["directory"],
            group=settings["group"],
            name=settings["name"],
        )
    )


def run_product_publisher(settings: dict[str, Any]) -> int:
    """The publisher of `jangbu publisher`: outbox to Kafka, until SIGTERM."""
    import signal
    import threading

    from producers.outbox import Outbox
    from producers.publisher import Publisher

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Outbox(Path(settings["outbox"])) as outbox:
        Publisher(outbox, settings["bootstrap"], settings["topic"], say=print).run(stop)
    return 0


def run_plain_agent(settings: dict[str, Any]) -> int:
    """Comparison (a)."""
    from tests.bench import plain_agent

    return plain_agent.run(settings)


def run_bare_loop(settings: dict[str, Any]) -> int:
    """Comparison (b)."""
    from tests.bench import bare_loop

    return bare_loop.run(settings)


def run_copy_alone(settings: dict[str, Any]) -> int:
    """Comparison (c)."""
    from tests.bench import bare_loop

    return bare_loop.run_copy_alone(settings)


ROLES = {
    "worker": run_product_worker,
    "publisher": run_product_publisher,
    "plain": run_plain_agent,
    "bare": run_bare_loop,
    "copy": run_copy_alone,
}

if __name__ == "__main__":
    sys.exit(ROLES[sys.argv[1]](json.loads(sys.argv[2])))
