"""Outbox -> `POST /v1/events` of JANGBU_URL, for a gateway that has no way to Kafka (contract.md, section 5).

202: the rows leave. 400, 403 and 413 of several events: the half is tried, until what is refused stands alone; one
event that is refused for good is set aside in the outbox, said, and never lost. All else is tried again for ever.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from producers.outbox import LogId, Outbox, Pending, Published

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

ROWS_MAX: Final = 1_000
BYTES_MAX: Final = 4 * 1024 * 1024
TIMEOUT_S: Final = 30.0
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0
SAY_AGAIN_S: Final = 30.0
PACE_S: Final = 0.1
PATH: Final = "/v1/events"
_TAKEN: Final = frozenset({200, 202, 204})
_TOO_LARGE: Final = 413
_NEVER_TAKEN: Final = frozenset({400, 422, _TOO_LARGE})
"""An answer about the events themselves; 401 and 403 are about the token, which may be mended."""
_REASON_CHARACTERS_MAX: Final = 500
_log = logging.getLogger("jangbu.gateway")


class Troubled(ConnectionError):
    """Nothing was taken now; to be tried again. The sentence says what answered what."""


class Poster:
    """Posts one outbox; hold its PublishingLock meanwhile."""

    def __init__(self, outbox: Outbox, url: str, token: str, say: Callable[[str], None] = _log.warning) -> None:
        self._outbox = outbox
        self._url = urlsplit(url)
        self._token = token
        self._say = say
        self._log = LogId("http", url)
        self._connection: http.client.HTTPConnection | None = None
        self._backoff_s = BACKOFF_FIRST_S
        self._trouble_since_s: float | None = None
        self._said_at_s = 0.0
        self.delivered = 0

    def run(self, stop: threading.Event) -> None:
        """Post until `stop` is set. Troubles are said and tried again, for ever."""
        self._outbox.retry_refused()
        try:
            while not stop.is_set():
                took = self._try_once()
                stop.wait(self._next_backoff() if took is None else PACE_S if took < ROWS_MAX else 0)
        finally:
            self._disconnect()

    def drain(self, patience_s: float) -> bool:
        """Post until nothing is pending; False when nothing was taken for `patience_s`."""
        last_s = time.monotonic()
        try:
            while self._outbox.read_pending(rows_max=1):
                if self._try_once():
                    last_s = time.monotonic()
                elif time.monotonic() - last_s > patience_s:
                    return False
                else:
                    time.sleep(min(self._next_backoff(), patience_s))
            return True
        finally:
            self._disconnect()

    def _try_once(self) -> int | None:
        """How many rows were dealt with; None after a trouble, which has been said."""
        rows = self._outbox.read_pending(rows_max=ROWS_MAX, bytes_max=BYTES_MAX)
        try:
            if rows:
                self._deal_with(rows)
        except (OSError, http.client.HTTPException) as error:
            self._disconnect()
            self._in_trouble(error)
            return None
        if rows:
            self._out_of_trouble()
        return len(rows)

    def _deal_with(self, rows: Sequence[Pending]) -> None:
        """Post rows; where they are refused, by halves."""
        status, said = self._post(b"\n".join(row.value for row in rows))
        if status in _TAKEN:
            self._outbox.settle(self._log, [Published(row.seq, 0, row.seq) for row in rows], keep=False)
            self.delivered += len(rows)
        elif status not in _NEVER_TAKEN:
            raise Troubled(f"answers {status} ({said})")
        elif len(rows) > 1:
            middle = len(rows) // 2
            self._deal_with(rows[:middle])
            self._deal_with(rows[middle:])
        else:
            self._outbox.refuse(rows[0].seq, f"{status}: {said}")
            self._say(
                f"{self._where()} refuses row {rows[0].seq} of the outbox {self._outbox.path} for good ({status}): "
                "it is kept aside and tried again at the next start"
            )

    def _post(self, body: bytes) -> tuple[int, str]:
        """(status, what was said, shortened)."""
        if self._connection is None:
            host, port = self._url.hostname or "", self._url.port
            if self._url.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/x-ndjson"}
        self._connection.request("POST", self._url.path.rstrip("/") + PATH, body, headers)
        answer = self._connection.getresponse()
        return answer.status, _sentence(answer.read())

    def _where(self) -> str:
        return f"{self._url.scheme}://{self._url.hostname}:{self._url.port or 'default port'}{PATH}"

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _in_trouble(self, error: Exception) -> None:
        now_s = time.monotonic()
        if self._trouble_since_s is None:
            self._trouble_since_s = now_s
        elif now_s - self._said_at_s < SAY_AGAIN_S:
            return
        self._said_at_s = now_s
        self._say(
            f"{self._outbox.pending_count()} events wait in the outbox {self._outbox.path}; {self._where()}: "
            f"{error or type(error).__name__}; trying again"
        )

    def _out_of_trouble(self) -> None:
        self._backoff_s = BACKOFF_FIRST_S
        if self._trouble_since_s is not None:
            self._say(f"{self._where()} takes events again after {time.monotonic() - self._trouble_since_s:.0f} s")
            self._trouble_since_s = None

    def _next_backoff(self) -> float:
        wait_s = self._backoff_s
        self._backoff_s = min(BACKOFF_MAX_S, wait_s * 2)
        return wait_s


def _sentence(body: bytes) -> str:
    """The answer's own sentence; nothing else of it, since it may repeat what it was sent."""
    try:
        said = json.loads(body).get("error", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return said[:_REASON_CHARACTERS_MAX] if isinstance(said, str) else ""
