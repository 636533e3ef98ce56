"""Between a worker and PostgreSQL: passes everything on, and on demand loses one commit or its reply.

It reads just enough of the wire protocol (PostgreSQL's documentation, chapter "Frontend/Backend Protocol"): psycopg
sends COMMIT as a simple query of its own, and each statement of a chunk's transaction names the table it copies into.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import Literal, Self

COMMIT = b"Q" + struct.pack(">i", 11) + b"COMMIT\x00"
"""The frontend's message for the statement COMMIT."""
READY_FOR_QUERY = b"Z\x00\x00\x00\x05"
STORES_A_CHUNK = b"copy usage_event"
POLL_S = 0.2

Cut = Literal["commit", "reply"]
"""What is lost: the commit itself (PostgreSQL never sees it), or its reply (PostgreSQL has done it)."""


class Proxy:
    """Listens on a free loopback port. Usable as a context manager."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._ordered: Cut | None = None
        self._closing = False
        self._cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def order(self, cut: Cut) -> None:
        """Lose the next chunk's commit, or its reply."""
        with self._lock:
            self._cut.clear()
            self._ordered = cut

    def has_cut(self) -> bool:
        """Whether the last order was carried out."""
        return self._cut.is_set()

    def close(self) -> None:
        """Take no more connections."""
        self._closing = True
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """One connection, until either side ends it or it is cut."""
        with contextlib.suppress(OSError), client:
            server = socket.create_connection(("127.0.0.1", self._upstream_port), timeout=10)
            server.settimeout(None)
            with server:
                stores_a_chunk = False
                while True:
                    readable, _, _ = select.select([client, server], [], [], POLL_S)
                    if server in readable:
                        answer = server.recv(65536)
                        if not answer:
                            return
                        client.sendall(answer)
                    if client in readable:
                        asked = client.recv(65536)
                        if not asked:
                            return
                        stores_a_chunk |= STORES_A_CHUNK in asked
                        if COMMIT in asked:
                            if stores_a_chunk and self._cuts(server, asked):
                                return
                            stores_a_chunk = False
                        server.sendall(asked)

    def _cuts(self, server: socket.socket, asked: bytes) -> bool:
        """Carry out what is ordered; the caller then drops the connection. PostgreSQL that dies meanwhile is no commit
        whose reply was lost: the order stands, for the next chunk."""
        with self._lock:
            ordered, self._ordered = self._ordered, None
        if ordered is None:
            return False
        if ordered == "reply" and not self._is_done(server, asked):
            with self._lock:
                self._ordered = ordered
            return True
        self._cut.set()
        return True

    def _is_done(self, server: socket.socket, asked: bytes) -> bool:
        """Whether PostgreSQL answers that it has done what was asked."""
        said = b""
        with contextlib.suppress(OSError):
            server.sendall(asked)
            while READY_FOR_QUERY not in said and (more := server.recv(65536)):
                said += more
        return READY_FOR_QUERY in said
