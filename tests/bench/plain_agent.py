"""Comparison (a): Faust as its tutorial shows it. One agent, JSON values, sums in memory, nothing stored.

Its offsets are committed as Faust does by default; its sums would be lost with it. A rate from the first event to the
last, taken inside.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import faust

from tests.bench.truth import UNITS


def run(settings: dict[str, Any]) -> int:
    """Add up so many events, write the result, go on until stopped."""
    app = faust.App(
        settings["group"],
        broker=f"kafka://{settings['bootstrap']}",
        datadir=settings["directory"],
        value_serializer="json",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
    )
    topic = app.topic(settings["topic"], key_serializer="raw", value_serializer="json")
    wanted: int = settings["events"]
    units = UNITS[1:]

    @app.agent(topic)  # type: ignore[untyped-decorator, unused-ignore]
    async def add_up(events: Any) -> None:
        sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(UNITS))
        seen, began_s = 0, 0.0
        async for event in events:
            if not seen:
                began_s = time.perf_counter()
            seen += 1
            data = event["data"]
            held = sums[event["time"][:13], data["department"], event["subject"], data["model"]]
            held[0] += 1
            told = data["units"]
            for place, unit in enumerate(units, 1):
                held[place] += told.get(unit, 0)
            if seen == wanted:
                _write(settings["result"], seen, time.perf_counter() - began_s, sums)

    shell = faust.Worker(app, loglevel="WARNING", quiet=True, redirect_stdouts=False)
    shell.execute_from_commandline()
    return 0


def _write(path: str, events: int, seconds: float, sums: dict[tuple[Any, ...], list[int]]) -> None:
    """The result, whole or not at all."""
    totals = [sum(column) for column in zip(*sums.values(), strict=True)]
    document = {"events_per_s": (events - 1) / seconds, "totals": totals, "sums": len(sums)}
    beside = Path(path).with_suffix(".new")
    beside.write_text(json.dumps(document), encoding="utf-8")
    beside.replace(path)
