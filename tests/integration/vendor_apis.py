"""Vendors' APIs as local servers, written from the documented shapes, with every way of failing on demand."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from billing.invoices.fetching.transport import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

JSON = "application/json"
PLANTED = "admin-key-that-must-not-be-seen-0123456789"
"""The key of every test: it must stand in one request header and in nothing else."""
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]

    def one(self, name: str) -> str | None:
        """The value of a parameter; None where it is not there."""
        return next((value for key, value in self.query if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True)
class Reply:
    """What the server answers. `cut_after`: the connection breaks off after so many bytes of the body.

    `is_bare`: no length is told, the end of the connection is the end of the body.
    """

    body: bytes = b"{}"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = JSON
    cut_after: int | None = None
    is_bare: bool = False

    @classmethod
    def of(cls, document: object, **more: Any) -> Reply:
        """A document as JSON."""
        return cls(json.dumps(document).encode(), **more)


class _QuietServer(ThreadingHTTPServer):
    """A client that goes away in mid-answer is no news."""

    def handle_error(self, *_: object) -> None:
        """Nothing."""


class VendorServer:
    """Answers by a function from (request, its number from 0) to a reply, and keeps what it saw."""

    def __init__(self, answer: Callable[[Seen, int], Reply]) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.serve(self)

            def log_message(self, *args: object) -> None:
                """Nothing: tests are quiet."""

        self._httpd = _QuietServer(("127.0.0.1", 0), Handler)
        self._httpd.daemon_threads = True
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it stands."""
        return f"http://127.0.0.1:{self._httpd.server_address[1]}"

    def close(self) -> None:
        """Stop; what is under way ends."""
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        parts = urlsplit(handler.path)
        seen = Seen(parts.path, tuple(parse_qsl(parts.query)), {k.lower(): v for k, v in handler.headers.items()})
        with self._lock:
            number = len(self.seen)
            self.seen.append(seen)
        reply = self.answer(seen, number)
        handler.send_response(reply.status)
        handler.send_header("content-type", reply.kind)
        for name, value in reply.headers:
            handler.send_header(name, value)
        if not reply.is_bare:
            handler.send_header("content-length", str(len(reply.body)))
        else:
            handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(reply.body if reply.cut_after is None else reply.body[: reply.cut_after])
        if reply.is_bare or reply.cut_after is not None:
            handler.wfile.flush()
            handler.close_connection = True


@contextmanager
def serving(answer: Callable[[Seen, int], Reply]) -> Iterator[VendorServer]:
    """A server for a test, closed at its end."""
    server = VendorServer(answer)
    try:
        yield server
    finally:
        server.close()


def in_turn(*replies: Reply) -> Callable[[Seen, int], Reply]:
    """Reply after reply; the last one for ever."""
    return lambda _, number: replies[min(number, len(replies) - 1)]


@dataclass
class Patience:
    """Waits that are noted and not waited."""

    waits_s: list[int] = field(default_factory=list)
    now: datetime = NOW

    def waiting(self) -> Waiting:
        """As the client takes it."""
        return Waiting(sleep_s=self.waits_s.append, now=lambda: self.now)


def days_between(first: date, last: date) -> list[date]:
    """Both included."""
    return [first + n * ONE_DAY for n in range((last - first).days + 1)]


OCTOBER = days_between(date(2026, 10, 1), date(2026, 10, 31))


def unix(day: date) -> int:
    """The second in which a UTC day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def asked_days(seen: Seen) -> list[date]:
    """The days between the two bounds of a request for buckets."""
    if (start := seen.one("start_time")) is not None:
        bounds = [datetime.fromtimestamp(int(text), UTC).date() for text in (start, seen.one("end_time") or "")]
    else:
        bounds = [date.fromisoformat((seen.one(name) or "")[:10]) for name in ("starting_at", "ending_at")]
    return days_between(bounds[0], bounds[1] - ONE_DAY)


def openai_bucket(day: date, results: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A bucket of the costs API."""
    return {"object": "bucket", "start_time": unix(day), "end_time": unix(day + ONE_DAY), "results": list(results)}


def openai_cost(dollars: float | str, line_item: str = "gpt-5-mini, input", tokens: int = 1000) -> dict[str, Any]:
    """A result of the costs API."""
    return {
        "object": "organization.costs.result", "amount": {"value": float(dollars), "currency": "usd"},
        "line_item": line_item, "quantity": tokens, "quantity_unit": "tokens", "project_id": "proj_1",
    }  # fmt: skip


def openai_page(buckets: Sequence[dict[str, Any]], next_page: str | None = None) -> dict[str, Any]:
    """A page of buckets."""
    return {"object": "page", "data": list(buckets), "has_more": next_page is not None, "next_page": next_page}


def anthropic_bucket(day: date, results: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A bucket of either report."""
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + ONE_DAY}T00:00:00Z", "results": list(results)}


def anthropic_page(buckets: Sequence[dict[str, Any]], next_page: str | None = None) -> dict[str, Any]:
    """A page of buckets."""
    return {"data": list(buckets), "has_more": next_page is not None, "next_page": next_page}


def anthropic_cost(cents: str, model: str = "claude-sonnet-5") -> dict[str, Any]:
    """A row of the cost report: a text of cents."""
    return {
        "amount": cents, "currency": "USD", "cost_type": "tokens", "description": "Claude Sonnet 5 Usage",
        "model": model, "token_type": "uncached_input_tokens", "context_window": "0-200k", "service_tier": "standard",
        "inference_geo": None, "workspace_id": None,
    }  # fmt: skip


def anthropic_use(tokens: int, model: str = "claude-sonnet-5") -> dict[str, Any]:
    """A row of the usage report."""
    return {
        "uncached_input_tokens": tokens, "cache_read_input_tokens": 0, "output_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "server_tool_use": {"web_search_requests": 0}, "model": model, "service_tier": "standard",
        "context_window": "0-200k", "workspace_id": None, "inference_geo": None, "api_key_id": None,
    }  # fmt: skip


def xai_invoice(year: int, month: int, cents: int) -> dict[str, Any]:
    """An invoice of one line."""
    return {
        "coreInvoice": {
            "lines": [{"description": "API grok-4.3", "unitType": "Prompt text tokens", "numUnits": "1000",
                       "amount": str(cents)}],
            "amountBeforeVat": str(cents), "vatCost": "0", "amountAfterVat": str(cents),
            "totalWithCorr": {"val": str(cents)},
        },
        "billingCycle": {"year": year, "month": month},
    }  # fmt: skip
