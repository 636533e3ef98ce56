"""Asking a vendor over HTTP: one answer's bytes at a time, whole or not at all.

What is bounded: the time to connect and between two pieces of an answer (httpx2's time-outs), the time of a whole
answer, its size, the tries and the waits (`retrying`), and the time of everything that one client asks. What is
refused: a redirect to another host (the key would go along), a packed answer, an answer that is not JSON. The key
stands in one header and nowhere else: no sentence shows headers or what the vendor wrote, which may repeat the key.
Certificates are checked as httpx2 does by itself.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import httpx2

from billing.invoices.fetching.errors import NOTHING, FetchRefused, KeyRefused, NotThere, VendorAway, shown
from billing.invoices.fetching.paging import decoded
from billing.invoices.fetching.retrying import NOT_FOUND, Turn, Verdict, verdict, wait_or_give_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from billing.invoices.fetching.apis import VendorApi

CONNECT_S_MAX, SILENCE_S_MAX, ANSWER_S_MAX = 10, 60, 300
ALL_S_MAX = 3600
ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""A day of a large organisation's finest rows is a hundredth of it."""
REDIRECTS_MAX = 3
CODE_CHARACTERS_MAX = 60
NS_IN_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Access:
    """Where a vendor is asked and with what. `key_from` names the setting that holds the key, for sentences."""

    base_url: str
    key: str = field(repr=False)
    key_from: str
    url_from: str
    team: str | None = None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Waiting:
    """How time passes; tests put their own in."""

    sleep_s: Callable[[int], None] = time.sleep
    clock_ns: Callable[[], int] = time.monotonic_ns
    now: Callable[[], datetime] = _now


class _CutOff(Exception):
    """An answer that ended before its end, or took too long: worth another try."""


class VendorClient:
    """One vendor's API, asked one request at a time. Close it."""

    def __init__(self, api: VendorApi, access: Access, waiting: Waiting | None = None) -> None:
        self._api, self._access, self._waiting = api, access, waiting or Waiting()
        self._waited_s, self._began_ns = 0, self._waiting.clock_ns()
        self.requests, self.retries = 0, 0
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(SILENCE_S_MAX, connect=CONNECT_S_MAX),
            follow_redirects=False,
            headers={
                **dict(api.headers),
                api.key_header: api.key_prefix + access.key,
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "jangbu",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, parameters: Sequence[tuple[str, str]]) -> bytes:
        """The answer's bytes. Raises KeyRefused, VendorAway or FetchRefused, never with the key in it."""
        first = httpx2.URL(self._access.base_url + path, params=list(parameters))
        url, tries, redirects = first, 0, 0
        while True:
            self._refuse_endless(path)
            self.requests += 1
            tries += 1
            try:
                found = self._once(url, path, tries)
            except _CutOff as cut:
                found = wait_or_give_up(str(cut), tries, self._waited_s)
            if isinstance(found, bytes):
                return found
            if isinstance(found, httpx2.URL):
                redirects += 1
                if redirects > REDIRECTS_MAX:
                    raise self._refused(path, f"it redirects more than {REDIRECTS_MAX} times")
                url, tries = found, tries - 1
                continue
            if found.turn is Turn.GIVE_UP:
                raise self._away(path, found.why)
            self.retries += 1
            self._waited_s += found.wait_s
            self._waiting.sleep_s(found.wait_s)
            url = first

    def _refuse_endless(self, path: str) -> None:
        if self._waiting.clock_ns() - self._began_ns > ALL_S_MAX * NS_IN_S:
            raise self._away(path, f"it has taken more than {ALL_S_MAX} s in all")

    def _once(self, url: httpx2.URL, path: str, tries: int) -> bytes | httpx2.URL | Verdict:
        """One request: the answer, where else to ask, or how long to wait. Raises _CutOff for a broken connection."""
        try:
            with self._client.stream("GET", url) as response:
                found = verdict(response.status_code, response.headers, tries, self._waited_s, self._waiting.now())
                match found.turn:
                    case Turn.TAKE:
                        return self._body(response, path)
                    case Turn.REDIRECT:
                        return self._redirect(response, path)
                    case Turn.KEY:
                        raise self._key_refused(response.status_code, path)
                    case Turn.REFUSE:
                        raise self._refused_status(response, path)
                return found
        except httpx2.TimeoutException:
            raise _CutOff("it does not answer in time") from None
        except httpx2.ConnectError as error:
            if _is_certificate(error):
                raise self._refused(path, "its certificate is not valid for this host") from None
            raise _CutOff("it cannot be reached") from None
        except httpx2.TransportError as error:
            raise _CutOff(f"the connection breaks off ({type(error).__name__})") from None
        except (httpx2.DecodingError, httpx2.InvalidURL) as error:
            raise self._refused(path, f"the answer cannot be read ({type(error).__name__})") from None

    def _body(self, response: httpx2.Response, path: str) -> bytes:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise self._refused(path, f"content-type is {shown(kind)} where application/json is expected")
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in {"", "identity"}:
            raise self._refused(path, f"content-encoding is {shown(packed)}, and an unpacked answer was asked for")
        body = self._read(response, path)
        is_whole = "content-length" in response.headers or "transfer-encoding" in response.headers
        if decoded(body) is None:
            if not is_whole:
                raise _CutOff("the answer ends before its end")
            raise self._refused(path, f"its {len(body)} bytes are not readable JSON")
        return body

    def _read(self, response: httpx2.Response, path: str) -> bytes:
        body, began_ns = bytearray(), self._waiting.clock_ns()
        for piece in response.iter_raw():
            body += piece
            if len(body) > ANSWER_BYTES_MAX:
                raise self._refused(path, f"the answer has more than {ANSWER_BYTES_MAX} bytes")
            if self._waiting.clock_ns() - began_ns > ANSWER_S_MAX * NS_IN_S:
                raise _CutOff(f"an answer takes longer than {ANSWER_S_MAX} s")
        return bytes(body)

    def _redirect(self, response: httpx2.Response, path: str) -> httpx2.URL:
        """Where the vendor says to ask instead; only the same scheme, host and port get the key."""
        asked = response.request.url
        told = response.headers.get("location", "")
        try:
            target = asked.join(told)
        except httpx2.InvalidURL:
            raise self._refused(path, "it redirects to what is no address") from None
        if not told or _origin(target) != _origin(asked):
            raise self._refused(
                path, f"it redirects to {shown(target.host)}, and the key is sent to {shown(asked.host)} only"
            )
        return target

    def _key_refused(self, status: int, path: str) -> KeyRefused:
        return KeyRefused(
            f"{self._api.names[0]} refuses the key of {self._access.key_from} for {path} (status {status}): it must be "
            f"a valid {self._api.key_kind} that may read costs and usage; {NOTHING}"
        )

    def _refused_status(self, response: httpx2.Response, path: str) -> FetchRefused:
        code = self._error_code(response, path)
        told = f" ({code})" if code else ""
        found = self._refused(path, f"it answers with status {response.status_code}{told}")
        return NotThere(*found.args) if response.status_code == NOT_FOUND else found

    def _error_code(self, response: httpx2.Response, path: str) -> str:
        """The vendor's word for an error, as in not_found_error; nothing else of what it wrote, and never the key."""
        try:
            document = decoded(self._read(response, path))
        except (_CutOff, FetchRefused, httpx2.HTTPError):
            return ""
        error = document.get("error") if isinstance(document, dict) else None
        code = error.get("type") if isinstance(error, dict) else None
        if not isinstance(code, str) or len(code) > CODE_CHARACTERS_MAX or not code.isascii():
            return ""
        return code if code.replace("_", "").isalpha() and self._access.key not in code else ""

    def _away(self, path: str, why: str) -> VendorAway:
        return VendorAway(
            f"{self._api.names[0]} does not serve {path} at {self._access.base_url}: {why}; fetch again later, or "
            f"check {self._access.url_from}; {NOTHING}"
        )

    def _refused(self, path: str, what: str) -> FetchRefused:
        return FetchRefused(
            f"{self._api.names[0]} at {self._access.base_url} asked for {path}: {what}; check {self._access.url_from}, "
            f"or bring the vendor's export; {NOTHING}"
        )


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_certificate(error: BaseException) -> bool:
    """Whether a certificate lies behind a failure to connect: another try would end alike."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return True
        at = at.__cause__ or at.__context__
    return False
