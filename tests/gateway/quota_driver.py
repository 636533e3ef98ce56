"""One gateway process without LiteLLM: our decisions and a pretended vendor.

`quota_driver.py URL TOKEN DIRECTORY NUMBER RATE` asks RATE times a second, as one user, until it is ended. A call that
passes uses at most what it may and is written to DIRECTORY/NUMBER.calls before it is settled: the vendor's bill.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jangbu.gateway.enforcing import Enforcer
from jangbu.gateway.known import Asked, Caller
from jangbu.gateway.settings import GatewaySettings
from producers.contract import EVENT_TYPE, UsageData, UsageEvent

SOURCE = "gateway-1"
USER, DEPARTMENT, MODEL = "u-1", "D001", "gpt-x"
OUTPUT_MAX = 50
PROMPT = "a question"


def event_of(call_id: str, tokens: int) -> UsageEvent:
    """The event of a call."""
    units = {"output_tokens": tokens, "requests": 1}
    return UsageEvent(
        specversion="1.0",
        type=EVENT_TYPE,
        source=SOURCE,
        id=f"{call_id}:1",
        time=datetime.now(UTC),
        subject=USER,
        data=UsageData(model=MODEL, provider="openai", units=units, department=DEPARTMENT),
    )


async def ask(enforcer: Enforcer, calls: int, took: dict[str, list[float]]) -> None:
    """One call, if it may be made. `took`: seconds of decisions, by whether one waited for a lease."""
    call_id = uuid.uuid4().hex
    data = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": OUTPUT_MAX}
    caller, asked = Caller(USER, DEPARTMENT, None), Asked("gpt", (("openai", MODEL),))
    waits, began_s = enforcer.counts["lease_waits"], time.perf_counter()
    refusal = await enforcer.check(call_id, caller, asked, data, "acompletion")
    waited = enforcer.counts["lease_waits"] != waits
    took["with a lease" if waited else "from memory"].append(time.perf_counter() - began_s)
    if refusal is not None:
        return
    await asyncio.sleep(random.random() / 20)
    event = event_of(call_id, random.randint(1, OUTPUT_MAX))
    line = [event.id, event.time.timestamp(), event.data.units["output_tokens"], time.time()]
    os.write(calls, json.dumps(line).encode() + b"\n")
    enforcer.slices.ended(call_id, time.monotonic())
    enforcer.written(call_id, event)


async def drive(enforcer: Enforcer, calls: int, rate: float, took: dict[str, list[float]]) -> None:
    """Calls at a rate, beside each other, until the process is told to end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    under_way: set[asyncio.Task[None]] = set()
    while not stop.is_set():
        task = asyncio.create_task(ask(enforcer, calls, took))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*under_way)


def settings_of(url: str, token: str, directory: Path) -> GatewaySettings:
    """Of a gateway that enforces quotas, and lets nothing pass that it knows nothing of."""
    return GatewaySettings(
        source=SOURCE, department_from="user_api_key_team_id", broker=None, topic="usage.events", url=url,
        token=token, directory=directory, queue_events_max=1_000, quota="enforce", quota_fail="closed",
        door_url=url, door_token=token,
    )  # fmt: skip


def main() -> None:
    """Drive until ended."""
    url, token, directory, number, rate = sys.argv[1:6]
    settings = settings_of(url, token, Path(directory))
    calls = os.open(f"{directory}/{number}.calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    enforcer = Enforcer(settings, f"slot-{number}", lambda: True)
    enforcer.start()
    Path(f"{directory}/{number}.ready").touch()
    took: dict[str, list[float]] = {"from memory": [], "with a lease": []}
    try:
        asyncio.run(drive(enforcer, calls, float(rate), took))
    finally:
        enforcer.close(5.0)
        Path(f"{directory}/{number}.status").write_text(json.dumps({**enforcer.document(), "decisions_s": took}))


if __name__ == "__main__":
    main()
