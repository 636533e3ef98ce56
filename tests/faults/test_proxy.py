"""The proxy carries an order out also where PostgreSQL dies under the first chunk that meets it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import COMMIT, READY_FOR_QUERY, STORES_A_CHUNK, Cut, Proxy

PATIENCE_S = 20.0


class Server:
    """Answers COMMIT; its first `deaths` connections are reset by it instead, as by PostgreSQL that is killed."""

    def __init__(self, deaths: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._deaths = deaths
        self.commits = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                asked = b""
                while COMMIT not in asked and (more := connection.recv(65536)):
                    asked += more
                if self._deaths:
                    self._deaths -= 1
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    continue
                if COMMIT not in asked:
                    continue
                self.commits += 1
                connection.sendall(READY_FOR_QUERY + b"I")


def store_a_chunk(proxy: Proxy) -> bytes:
    """What the server answers to a chunk's transaction, empty where the connection is lost."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(STORES_A_CHUNK)
        time.sleep(0.05)
        client.sendall(COMMIT)
        try:
            return client.recv(100)
        except ConnectionResetError:
            return b""


@pytest.fixture(params=[0, 1, 2])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Server, int]]:
    made = Server(request.param)
    yield made, request.param
    made.close()


@pytest.mark.parametrize("cut", ["reply", "commit"])
def test_an_order_is_carried_out_once_whoever_dies_before(server: tuple[Server, int], cut: Cut) -> None:
    upstream, deaths = server
    with Proxy(upstream.port) as proxy:
        proxy.order(cut)
        tries = 0
        while not proxy.has_cut():
            tries += 1
            assert tries <= deaths + 1, "the order was lost with a connection"
            assert store_a_chunk(proxy) == b""
        assert upstream.commits == (1 if cut == "reply" else 0)
        proxy_passes = [store_a_chunk(proxy) for _ in range(deaths + 1)]
        assert proxy_passes[-1].startswith(READY_FOR_QUERY)
