"""A door that is open: `jangbu serve` as a process of its own, and requests to it, for the tests of HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from jangbu.services.ports import free_port, is_listening

if TYPE_CHECKING:
    from collections.abc import Iterable

START_S = 60.0
CHECKOUT = Path(__file__).resolve().parents[2]
TOKEN = "owner-token-of-a-test"
ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def event(number: int, source: str = "gateway-1", **data: Any) -> dict[str, Any]:
    """A usage event of now."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "specversion": "1.0", "type": "ai.usage.v1", "source": source, "id": f"id-{number}", "time": moment,
        "data": {"model": "m", "provider": "p", "units": {"input_tokens": number, "requests": 1}, **data},
    }  # fmt: skip


class OpenDoor:
    """`jangbu serve` on a free port and a data directory of its own; `with` ends it."""

    def __init__(self, directory: Path, *, file_bytes_max: int | None = None, **settings: object) -> None:
        self._file_bytes_max = file_bytes_max
        self.data_dir = directory / "data"
        self.port = free_port()
        self.log = directory / "serve.log"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
        self.environment |= {
            "PYTHONPATH": str(CHECKOUT), "JANGBU_DATA_DIR": str(self.data_dir), "JANGBU_TOKEN": TOKEN,
            **{f"JANGBU_{name.upper()}": str(value) for name, value in settings.items()},
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "jangbu", "serve", "--port", str(self.port)]
            if self._file_bytes_max is not None:
                command = ["prlimit", f"--fsize={self._file_bytes_max}", *command]  # as a full disk: no file grows
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not is_listening(self.port) or b"serves on" not in self.log.read_bytes():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_error: object) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
            raise

    def kill(self) -> None:
        """As a power cut would end it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def send(
        self,
        body: bytes,
        media: str | None = ONE,
        *,
        path: str = "/v1/events",
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Answer:
        """One request on a connection of its own."""
        sent = dict(headers or {})
        if media is not None:
            sent["content-type"] = media
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, *events: dict[str, Any], **options: Any) -> Answer:
        """Events as a batch."""
        return self.send(json.dumps(events).encode(), BATCH, **options)

    def get(self, path: str) -> Answer:
        return self.send(b"", None, path=path, token=None, method="GET")

    def held(self) -> list[dict[str, Any]]:
        """What the outbox holds, in its order."""
        return [json.loads(value) for value in self.held_values()]

    def held_values(self) -> Iterable[bytes]:
        sql = sqlite3.connect(self.data_dir / "outbox" / "outbox.sqlite")
        try:
            return [bytes(row[0]) for row in sql.execute("select value from event order by seq")]
        finally:
            sql.close()
