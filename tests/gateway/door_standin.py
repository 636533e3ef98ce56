"""Stands in for jangbu's HTTP door: takes NDJSON of events with the contract's answers, and keeps what it took."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "a-token-of-the-tests-000"


class Door:
    """A door on a port of its own. `refuse`: ids that are answered 400; `away`: everything is answered 503."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.copies: Counter[str] = Counter()
        self.conflicts: list[str] = []
        self.bodies: list[bytes] = []
        self.refuse: set[str] = set()
        self.away = False
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self._answer(*door.take(self.path, self.headers.get("authorization", ""), body))

            def _answer(self, status: int, document: dict[str, Any]) -> None:
                said = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_arguments: object) -> None:
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def take(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """(status, answer) of one request; a body with a bad event is refused whole."""
        self.bodies.append(body)
        if self.away:
            return 503, {"error": "away", "code": "away"}
        if path != "/v1/events" or authorization != f"Bearer {TOKEN}":
            return 401, {"error": "no such token", "code": "token"}
        events = [json.loads(line) for line in body.splitlines()]
        bad = [{"index": at, "reason": "planted"} for at, event in enumerate(events) if event["id"] in self.refuse]
        if bad:
            return 400, {"error": "refused", "code": "bad", "events": bad}
        for event in events:
            known = self.events.setdefault(event["id"], event)
            self.copies[event["id"]] += 1
            if known != event:
                self.conflicts.append(event["id"])
        return 202, {"accepted": len(events)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
