"""The server's own limits, in this process: headers that come too slowly, and an end that loses no answer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.routing import Route

from jangbu.web import serving
from jangbu.web.application import application
from jangbu.web.door import Door, DoorLimits
from producers.contract import TimeBounds
from producers.door.tokens import TokenTable
from producers.outbox import Outbox
from tests.integration.http_world import TOKEN, event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response


async def broken(_request: Request) -> Response:
    raise ValueError("planted-content")


def served(tmp_path: Path, talk: Callable[[int, uvicorn.Server], Awaitable[None]]) -> None:
    """Run `talk` against a server in this loop."""

    async def run() -> None:
        with Outbox(tmp_path / "outbox.sqlite") as outbox, serving.listen("127.0.0.1", 0) as listener:
            door = Door(outbox, lambda: TokenTable(TOKEN), DoorLimits(), TimeBounds())
            server = uvicorn.Server(serving.configuration(application(door, [Route("/broken", broken)])))
            serving_task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag
                    await asyncio.sleep(0.01)
                await talk(listener.getsockname()[1], server)
            finally:
                server.should_exit = True
                await serving_task
                door.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "first", [b"", b"POST /v1/events HTTP/1.1\r\nhost: x\r\n", b"GET /healthz HTTP/1.1\r\n\r\nGET /"]
)
def test_headers_that_do_not_come_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(serving, "HEADER_SECONDS_MAX", 0.3)

    async def talk(port: int, _server: uvicorn.Server) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        try:
            async with asyncio.timeout(10):
                while await reader.read(65_536):
                    pass
        except ConnectionResetError:
            pass
        writer.close()

    served(tmp_path, talk)


def test_a_body_in_time_is_not_ended_by_the_limit_of_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "HEADER_SECONDS_MAX", 0.2)
    body = json.dumps(event(1)).encode()
    head = f"POST /v1/events HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {len(body)}\r\n\r\n"

    async def talk(port: int, server: uvicorn.Server) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        await asyncio.sleep(0.5)
        server.should_exit = True  # a request that is under way when the server ends has its answer
        await asyncio.sleep(0.3)
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 202 ")
        writer.close()

    served(tmp_path, talk)


def test_a_defect_is_told_by_its_place_and_never_by_its_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    said = b""

    async def talk(port: int, _server: uvicorn.Server) -> None:
        nonlocal said
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /broken HTTP/1.1\r\nconnection: close\r\n\r\n")
        said = await reader.read()
        writer.close()

    served(tmp_path, talk)
    assert said.startswith(b"HTTP/1.1 500 ")
    assert "unexpected ValueError at " in caplog.text
    assert "planted-content" not in said.decode() + caplog.text + "".join(capfd.readouterr())
