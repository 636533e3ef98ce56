"""Calls to a proxy, many at once: `load_client.py PROXY_URL KEY FIRST CALLS AT_ONCE KINDS`; prints a line of figures a
call.

Run by the interpreter of .clients. KINDS: `mixed` (whole answers and streams, retried, failing and breaking off) or
`plain` (whole answers and streams alone, for latency). A call that the proxy does not answer is told as such and never
made again: the proxy may have made it. While the proxy is away, new calls wait.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp

URL, KEY = sys.argv[1:3]
FIRST, CALLS, AT_ONCE = map(int, sys.argv[3:6])
KINDS = sys.argv[6]
DELAY_MS = 50


def ask(number: int) -> tuple[dict[str, Any], str]:
    """(body, tag) of a call; what it is follows from its number."""
    tag = f"c{number}"
    order, model, stream = f"tag={tag};delay_ms={DELAY_MS};fresh={11 + number % 7};out={5 + number % 3}", "gpt", False
    kind = number % 20
    if kind in (1, 4, 7, 10, 13, 16):
        stream = True
    if KINDS == "mixed":
        if kind == 2:
            order += ";fail=500"
        elif kind == 3:
            order, model = order + ";fail=400", "gpt-small"
        elif kind == 4:
            order, model = order + ";cut=2", "gpt-small"
        elif kind == 5:
            order += ";fail=429,500,500"
        elif kind in (6, 7):
            order, model = order + ";cached=5;written=2", "claude"
        elif kind in (9, 10):
            order, model = order + ";cached=3;reasoning=2", "gemini"
        else:
            order += ";cached=4;reasoning=1"
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": f"[[{order}]]"}]}, tag


async def is_there() -> None:
    """Until the proxy listens."""
    parts = urlsplit(URL)
    while True:
        try:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            await asyncio.sleep(0.2)
        else:
            writer.close()
            return


async def call(session: aiohttp.ClientSession, number: int) -> dict[str, Any]:
    """One call, read to its end."""
    body, tag = ask(number)
    begun_s = time.perf_counter()
    headers = {"authorization": f"Bearer {KEY}", "x-litellm-tags": f"call:{tag}"}
    try:
        async with session.post(f"{URL}/v1/chat/completions", json=body, headers=headers) as answer:
            text = await answer.read()
            outcome: Any = answer.status if b'"error"' not in text else "error"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        outcome = type(error).__name__
    return {"tag": tag, "ms": (time.perf_counter() - begun_s) * 1000, "outcome": outcome}


async def main() -> None:
    """Work through the numbers, AT_ONCE at a time."""
    numbers = itertools.chain(range(FIRST, FIRST + CALLS))
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            told = await call(session, number)
            sys.stdout.write(json.dumps(told) + "\n")
            if isinstance(told["outcome"], str) and told["outcome"] != "error":
                await is_there()

    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(AT_ONCE)))


asyncio.run(main())
