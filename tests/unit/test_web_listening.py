"""The listening socket of `serve`: answers leave at once."""

from __future__ import annotations

import asyncio
import socket

from jangbu.web.serving import listen


async def _no_delay_of_accepted() -> int:
    """TCP_NODELAY of a connection that asyncio accepted from our socket."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        await writer.wait_closed()

    listener = listen("127.0.0.1", 0)
    server = await asyncio.start_server(accepted, sock=listener)
    async with server:
        _reader, writer = await asyncio.open_connection(*listener.getsockname())
        told = await found
        writer.close()
        await writer.wait_closed()
    return told


def test_a_body_does_not_wait_for_its_headers_to_be_acknowledged() -> None:
    """With Nagle's algorithm it waits for the client's delayed acknowledgement: 40 ms on every answer."""
    assert asyncio.run(_no_delay_of_accepted()) != 0
