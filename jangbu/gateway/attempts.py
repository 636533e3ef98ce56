"""Every call to a vendor has its own event: which of them LiteLLM has logged, and which it has not. Pure.

LiteLLM logs one failure a request, however often it asked a vendor, and none for a stream of Gemini's own form that
broke off; but it tells each single call before it is made. What is called and never logged is owed an event, as a
failure (or a stream that was cut) whose counts are missing: a call that a vendor may bill is never nothing.

Source of the order of calls: LiteLLM 1.106, `log_pre_api_call` once a call, `async_log_failure_event` once a request
(each time for speech), `async_log_success_event` once, `async_post_call_failure_hook` at the end of a failed request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

GRACE_S: Final = 5.0
"""How long after a request's end its events may still come: LiteLLM logs beside the request."""
FORGOTTEN_AFTER_S: Final = 2 * 3600.0
"""A request that has not ended by then will not be told: its calls get their events."""
REQUESTS_MAX: Final = 100_000
"""Requests that are remembered at once; the oldest is settled before its time."""

OWED_KEPT_MAX: Final = 100_000
"""Requests whose missing events were made that are remembered: what LiteLLM tells of them later is the same calls."""
TOLD_MAX: Final = 10_000
"""Answers that are remembered to know a second telling; one that is forgotten is a copy, which is counted once."""


class Call(NamedTuple):
    """One call to a vendor, as told before it was made. `fields` are of a payload, without anything private."""

    fields: Mapping[str, Any]
    streamed: bool


class Owed(NamedTuple):
    """A call that LiteLLM has not logged: `number` counts the request's calls from 1."""

    request_id: str
    number: int
    call: Call
    cut: bool


@dataclass(slots=True)
class _Request:
    begun_s: float
    calls: list[Call] = field(default_factory=list)
    accounted: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    told: set[object] = field(default_factory=set)
    due_s: float | None = None


class Attempts:
    """Requests under way. Times are in seconds of any clock that only grows. Usable from several threads."""

    def __init__(self, requests_max: int = REQUESTS_MAX) -> None:
        self._requests: OrderedDict[str, _Request] = OrderedDict()
        self._ended: dict[str, None] = {}
        self._told: OrderedDict[object, None] = OrderedDict()
        self._was_owed: OrderedDict[str, None] = OrderedDict()
        self._requests_max = requests_max
        self._lock = threading.Lock()

    def is_told_again(self, what: object) -> bool:
        """Whether this was asked about before, among the latest: LiteLLM logs images and sound once for each of its
        two kinds of functions."""
        with self._lock:
            known = what in self._told
            self._told[what] = None
            if len(self._told) > TOLD_MAX:
                self._told.popitem(last=False)
            return known

    def called(self, request_id: str, call: Call, now_s: float) -> None:
        """A vendor is about to be called."""
        with self._lock:
            request = self._requests.setdefault(request_id, _Request(now_s))
            request.calls.append(call)
            request.due_s = None
            self._ended.pop(request_id, None)
            self._was_owed.pop(request_id, None)

    def failed(self, request_id: str) -> None:
        """The latest call failed before anything was answered."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is not None and request.calls:
                request.failed.add(len(request.calls))

    def answered(self, request_id: str, now_s: float) -> bool:
        """The latest call has been logged as answered; False where it was logged so late that its event was made as one
        that is owed: one call is never two events."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is None:
                return request_id not in self._was_owed
            request.accounted.add(len(request.calls))
            if len(request.calls) == 1:
                del self._requests[request_id]
                self._ended.pop(request_id, None)
            else:
                self._end(request_id, request, now_s)
            return True

    def number_of_failure(self, request_id: str, told: object, now_s: float) -> int | None:
        """Which call a logged failure is; None where this very failure was told already (`told` names it), or so late
        that its event was made as one that is owed."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is None and request_id in self._was_owed:
                return None
            if request is None:  # a call that was not told before: remembered, since failures may be told twice
                request = self._requests[request_id] = _Request(now_s)
                self._end(request_id, request, now_s)
            if told in request.told:
                return None
            request.told.add(told)
            number = 1
            while number in request.accounted:
                number += 1
            request.accounted.add(number)
            return number

    def ended(self, request_id: str, now_s: float) -> None:
        """The request has failed for good."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is not None:
                self._end(request_id, request, now_s)

    def take_owed(self, now_s: float) -> list[Owed]:
        """The calls whose events have not come in time; each is given once."""
        with self._lock:
            over = [name for name in self._ended if self._is_due(name, now_s)]
            for name, request in self._requests.items():
                too_many = len(self._requests) - len(over) > self._requests_max
                if not too_many and request.begun_s > now_s - FORGOTTEN_AFTER_S:
                    break
                if name not in self._ended:
                    over.append(name)
            return [owed for name in over for owed in self._settle(name)]

    def was_owed(self, request_id: str) -> bool:
        """Whether events of a request were made because LiteLLM had not logged its calls in time."""
        with self._lock:
            return request_id in self._was_owed

    def under_way(self) -> int:
        """Requests that are remembered."""
        return len(self._requests)

    def _end(self, request_id: str, request: _Request, now_s: float) -> None:
        request.due_s = now_s + GRACE_S
        self._ended[request_id] = None

    def _is_due(self, name: str, now_s: float) -> bool:
        due_s = self._requests[name].due_s
        return due_s is not None and due_s <= now_s

    def _settle(self, name: str) -> list[Owed]:
        request = self._requests.pop(name)
        self._ended.pop(name, None)
        owed = [
            Owed(name, number, call, cut=call.streamed and number not in request.failed)
            for number, call in enumerate(request.calls, 1)
            if number not in request.accounted
        ]
        if owed:
            self._was_owed[name] = None
            if len(self._was_owed) > OWED_KEPT_MAX:
                self._was_owed.popitem(last=False)
        return owed
