"""Callers may name their calls (`x-litellm-call-id`): two under way under one name are two calls, each counted."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.gateway import proxy_world as world
from tests.gateway.door_standin import TOKEN, Door

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)
SLOW_MS = 9_000
"""Longer than it takes until a call that LiteLLM does not log is counted without its tokens."""


def call(url: str, order: str) -> str:
    """One chat completion under the name that all have; the id that it is answered with."""
    body = json.dumps({"model": "gpt", "messages": [{"role": "user", "content": f"[[{order}]]"}]}).encode()
    headers = {
        "authorization": f"Bearer {world.MASTER_KEY}", "content-type": "application/json", "x-litellm-call-id": "mine",
    }  # fmt: skip
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - addresses of ours
        return str(answer.headers["x-litellm-call-id"])


def test_a_slow_call_is_counted_whatever_else_has_its_name(tmp_path: Path) -> None:
    world.need_clients()
    with Door() as door, world.VendorProcess(tmp_path) as vendor:
        config = world.configuration(vendor.url, [world.CALLBACK])
        settings = {"JANGBU_SOURCE": "gateway-1", "JANGBU_URL": door.url, "JANGBU_TOKEN": TOKEN}
        with world.ProxyProcess(tmp_path, config, settings) as proxy:
            proxy.start()
            slow = threading.Thread(target=call, args=(proxy.url, f"tag=slow;fresh=1000;out=500;delay_ms={SLOW_MS}"))
            slow.start()
            time.sleep(1.0)
            assert call(proxy.url, "tag=quick;fresh=1;out=1") != "mine"
            slow.join()
            deadline_s = time.monotonic() + 20
            while len(door.events) < 2 and time.monotonic() < deadline_s:
                time.sleep(0.2)
            time.sleep(1.5)
            status = proxy.status()
    events = [event["data"] for event in door.events.values()]
    counted = sorted((data["units"].get("input_tokens", 0), data.get("status", "success")) for data in events)
    assert counted == [(1, "success"), (1000, "success")]
    assert (status["owed"], status["late"]) == (0, 0)
