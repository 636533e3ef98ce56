"""The application under uvicorn: its socket, its limits on connections and headers, its end.

uvicorn logs neither requests nor headers here. A connection has HEADER_SECONDS_MAX to bring its headers, and at most
HEADER_BYTES_MAX of them, those behind a chunked body with them: the parser has no such limits of its own. A body that
still comes after its request was refused is dropped as it comes, for UNWANTED_SECONDS_MAX; then the connection ends.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jangbu.errors import SettingsError

if TYPE_CHECKING:
    from starlette.applications import Starlette

HEADER_SECONDS_MAX: Final = 10
HEADER_BYTES_MAX: Final = 64 * 1024
CONNECTIONS_MAX: Final = 2_000
KEEP_ALIVE_S: Final = 15
UNWANTED_SECONDS_MAX: Final = 5
"""How long a body may still come after its request was answered, so that the sender gets to read the answer."""
GRACE_S: Final = 5
BACKLOG: Final = 1024


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose headers are bounded in time and size."""

    _header_timer: asyncio.TimerHandle | None = None
    _unwanted_timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _parsed_bytes = 0
    _stuck_bytes = 0
    _in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is dropped as one that says it too slowly."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._headers_are_there()
        self._body_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the headers are complete."""
        if self._in_headers:
            self._header_bytes += len(data)
        self._stuck_bytes += len(data)
        super().data_received(data)
        if self._stuck_bytes > HEADER_BYTES_MAX and not self._in_headers and not self.transport.is_closing():
            self._end_stuck()
        if self._in_headers and self._header_bytes > HEADER_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """The next request of a connection: its headers are awaited anew."""
        super().on_message_begin()
        self._parsed_bytes = self._stuck_bytes = 0
        if not self._in_headers:
            self._await_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Headers that come at once are bounded as those that come in parts. Raises ValueError, which answers 400."""
        self._parsed_bytes += len(name) + len(value)
        if self._parsed_bytes > HEADER_BYTES_MAX:
            raise ValueError("the headers are too large")
        self._stuck_bytes = 0
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """What comes is a body, and the application's limits hold."""
        self._stuck_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """From here on the application's limits hold."""
        self._headers_are_there()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body of a request that is answered has come: the connection may go on."""
        self._stuck_bytes = 0
        self._body_is_there()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A body that is not wanted any more, as without a token, may not come for ever."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._unwanted_timer = self.loop.call_later(UNWANTED_SECONDS_MAX, self.transport.abort)

    def _end_stuck(self) -> None:
        """What comes is neither a body nor a whole header: one without end behind chunks: the parser holds it."""
        if self.cycle.response_complete:
            self.transport.abort()
        else:
            self.send_400_response("The headers are too large.")

    def _body_is_there(self) -> None:
        if self._unwanted_timer is not None:
            self._unwanted_timer.cancel()
            self._unwanted_timer = None

    def _await_headers(self) -> None:
        self._in_headers = True
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(HEADER_SECONDS_MAX, self.transport.abort)

    def _headers_are_there(self) -> None:
        self._in_headers = False
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError (exit 3) where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By this asyncio knows that it is TCP and turns Nagle's algorithm off: else the body of an answer waits 40 ms for
    # the client to have acknowledged its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host} port {port} ({error.strerror or error}): end what listens there, or choose "
            "another with --port or JANGBU_PORT"
        ) from error
    listener.setblocking(False)
    return listener


def serve_until_stopped(app: Starlette, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight have GRACE_S to end."""
    # Reports are made of many small rows that go as they came; what is kept between them lives long. Looking through
    # all of it each 700 rows, as Python does, takes longer than making them; looking through 100,000 at once keeps
    # everybody waiting for a tenth of a second.
    gc.set_threshold(10_000, 50, 50)
    # A page asks PostgreSQL some twenty times, and each time that an answer comes its thread waits this long for one
    # that computes: 5 ms by default, so that a page took a tenth of a second more beside others.
    sys.setswitchinterval(0.0005)
    uvicorn.Server(configuration(app)).run(sockets=[listener])


def configuration(app: Starlette) -> uvicorn.Config:
    """How uvicorn runs the application."""
    options: dict[str, Any] = {
        "http": BoundedProtocol,
        "ws": "none",
        "loop": "asyncio",
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": False,
        "limit_concurrency": CONNECTIONS_MAX,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
        "backlog": BACKLOG,
    }
    return uvicorn.Config(app, **options)
