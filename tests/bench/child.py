"""The processes that are measured, each by itself: `python tests/bench/child.py ROLE SETTINGS-AS-JSON`.

Roles: the product's worker, publisher, close, rating, what-if and statement; what they are compared with: a plain Faust
agent, a bare confluent-kafka loop with the same SQL, COPY alone, DuckDB.
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
    from producers.broker_access import BrokerAccess
    from producers.topic import TopicLog
    from streams.worker import WorkerSettings, run_worker

    return run_worker(
        WorkerSettings(
            broker=BrokerAccess(settings["bootstrap"]),
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

    from producers.broker_access import BrokerAccess
    from producers.outbox import Outbox
    from producers.publisher import Publisher

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Outbox(Path(settings["outbox"])) as outbox:
        Publisher(outbox, BrokerAccess(settings["bootstrap"]), settings["topic"], say=print).run(stop)
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


def run_close(settings: dict[str, Any]) -> int:
    """Closing a month, as `jangbu period close` does it."""
    from tests.bench import month_roles

    return month_roles.run_close(settings)


def run_rating(settings: dict[str, Any]) -> int:
    """Rating a month's sums alone."""
    from tests.bench import month_roles

    return month_roles.run_rating(settings)


def run_whatif(settings: dict[str, Any]) -> int:
    """A what-if over months, as `jangbu whatif` does it."""
    from tests.bench import month_roles

    return month_roles.run_whatif(settings)


def run_page(settings: dict[str, Any]) -> int:
    """One department's statement, as `jangbu statement show` reads it."""
    from tests.bench import month_roles

    return month_roles.run_page(settings)


def run_duck(settings: dict[str, Any]) -> int:
    """The same sums and products in DuckDB."""
    from tests.bench import month_duck

    return month_duck.run_duck(settings)


def run_alerts(settings: dict[str, Any]) -> int:
    """The alert process of `jangbu alerts`."""
    from tests.bench import alert_freshness

    return alert_freshness.run_alerts(settings)


ROLES = {
    "worker": run_product_worker,
    "publisher": run_product_publisher,
    "alerts": run_alerts,
    "plain": run_plain_agent,
    "bare": run_bare_loop,
    "copy": run_copy_alone,
    "close": run_close,
    "rating": run_rating,
    "whatif": run_whatif,
    "page": run_page,
    "duck": run_duck,
}

if __name__ == "__main__":
    sys.exit(ROLES[sys.argv[1]](json.loads(sys.argv[2])))
