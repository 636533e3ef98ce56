"""Faults planted in a worker's process: answers of a broker that come at a bad moment only, and ends of tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from streams import transport
from streams import worker as streams_worker

if TYPE_CHECKING:
    import faust

COORDINATOR_LOAD_IN_PROGRESS = 14
UNKNOWN_SERVER_ERROR = -1
REQUEST_SECONDS_MAX = 3.0
POLL_SECONDS_MAX = 3.0


def sync_meets_a_coordinator_that_loads() -> None:
    """The first SyncGroup is answered as by a broker that was restarted since JoinGroup."""
    _answer_once(SyncGroupRequest, COORDINATOR_LOAD_IN_PROGRESS)


def heartbeat_meets_an_unknown_error() -> None:
    """The first heartbeat is answered by an error that aiokafka does not expect: its heartbeat task ends."""
    _answer_once(HeartbeatRequest, UNKNOWN_SERVER_ERROR)


def coordination_ends() -> None:
    """The task that keeps the worker in its group ends by a defect of the client's."""

    async def failing(self: GroupCoordinator, subscription: Any) -> bool:
        raise KeyError("planted: no such connection")

    GroupCoordinator._do_rejoin_group = failing


def little_patience() -> None:
    """Times in which Faust and a seek give up are short."""
    making = streams_worker.UsageWorker._make_app

    def made(self: streams_worker.UsageWorker) -> faust.App:
        app = making(self)
        app.conf.broker_request_timeout = REQUEST_SECONDS_MAX
        return app

    streams_worker.UsageWorker._make_app = made  # type: ignore[method-assign]
    transport.SEEK_SECONDS_MAX = REQUEST_SECONDS_MAX / 3


def short_poll_interval() -> None:
    """Faust's setting for how long a consumer may fetch nothing, short: aiokafka leaves the group after it."""
    making = streams_worker.UsageWorker._make_app

    def made(self: streams_worker.UsageWorker) -> faust.App:
        app = making(self)
        app.conf.broker_max_poll_interval = POLL_SECONDS_MAX
        return app

    streams_worker.UsageWorker._make_app = made  # type: ignore[method-assign]


def _answer_once(request_type: type, error_code: int) -> None:
    sending = GroupCoordinator._send_req
    answered: list[Any] = []

    async def answer(self: GroupCoordinator, request: Any) -> Any:
        if isinstance(request, request_type) and not answered:
            answered.append(request)
            return SimpleNamespace(error_code=error_code)
        return await sending(self, request)

    GroupCoordinator._send_req = answer
