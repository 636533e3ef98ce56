"""Questions of a gateway to jangbu's HTTP door: what is new of the quotas, and slices of hard ones."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

TIMEOUT_S: Final = 10.0


class DoorAway(ConnectionError):
    """No usable answer; the sentence says what there was."""


class DoorRefuses(DoorAway):
    """What was asked is wrong (400): asked again as it is, it is refused again."""


class DoorClient:
    """One connection, kept open. Not for several threads."""

    def __init__(self, url: str, token: str) -> None:
        self._url = urlsplit(url)
        self._where = self._url.netloc.rpartition("@")[2]
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def news(self, epoch: str | None, version: int, wait_s: float) -> dict[str, Any]:
        """What came after a version; the door answers at once where there is any, else after `wait_s`."""
        asked = {"version": version, "wait": wait_s, **({} if epoch is None else {"epoch": epoch})}
        return self._ask("GET", f"/v1/enforcement?{urlencode(asked)}", None)

    def report(self, document: dict[str, Any]) -> dict[str, Any]:
        """A report's answer."""
        return self._ask("POST", "/v1/enforcement/leases", json.dumps(document).encode())

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        """Raises DoorAway. A connection that was closed while idle is opened once more."""
        was_open = self._connection is not None
        try:
            status, said = self._once(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not was_open:
                raise DoorAway(f"{self._where}: {error or type(error).__name__}") from None
            return self._ask(method, path, body)
        if status == http.HTTPStatus.BAD_REQUEST:
            raise DoorRefuses(f"{self._where} refuses what it was asked (400)")
        if status != http.HTTPStatus.OK:
            raise DoorAway(f"{self._where} answers {status}")
        try:
            found: dict[str, Any] = json.loads(said)
        except ValueError:
            raise DoorAway(f"{self._where} answers no JSON") from None
        return found

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            host, port = self._url.hostname or "", self._url.port
            if self._url.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._connection.request(method, self._url.path.rstrip("/") + path, body, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()
