"""Whether a worker is a member of its group that reads, told by aiokafka's background tasks.

aiokafka's coordinator stops at an answer that it does not expect, and goes on when somebody has asked it for its
errors (`check_errors`): its own `getmany` does that each time. Faust reads past `getmany`, so nobody ever asked. Such
an answer comes where a broker is restarted between JoinGroup and SyncGroup: Kafka 4 says COORDINATOR_LOAD_IN_PROGRESS
to SyncGroup, which it did not say before 4. The worker then stood still for ever, expelled, and said nothing.

- An answer that may be another one next time: the error is taken, and the group is joined again.
- One that will not (not allowed, a setting that the broker refuses), or a background task that has ended: the worker
  ends with a sentence, and whoever supervises it starts another.
- A member in good standing whose flow Faust has not resumed for `STANDSTILL_SECONDS_MAX`: the same, as a last resort.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import aiokafka
from aiokafka import errors

logger = logging.getLogger("jangbu.worker")

LOOKED_AFTER_EVERY_SECONDS = 0.5
STANDSTILL_SECONDS_MAX = 120.0

_NOT_TO_BE_MENDED = (
    errors.GroupAuthorizationFailedError,
    errors.TopicAuthorizationFailedError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidGroupIdError,
)


class MembershipLost(RuntimeError):
    """The worker reads no more, and nothing in this process will change that."""


def is_pending(consumer: aiokafka.AIOKafkaConsumer) -> bool:
    """Whether the coordinator has met an error that nobody has taken yet."""
    return consumer._coordinator._pending_exception is not None


class Membership:
    """Looks after one aiokafka consumer. To be asked now and then, in the consumer's own loop."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._clock = clock
        self._still_since_s: float | None = None

    def fault(self, *, flow_active: bool) -> MembershipLost | None:
        """What must end the worker, if anything; takes the coordinator's error where there is one."""
        return self._ended_task() or self._error_taken() or self._standstill(flow_active)

    def _ended_task(self) -> MembershipLost | None:
        tasks = {
            "group coordination": self._consumer._coordinator._coordination_task,
            "fetcher": self._consumer._fetcher._fetch_task,
            "metadata update": self._consumer._client._sync_task,
        }
        for name, task in tasks.items():
            if task is not None and task.done():
                return MembershipLost(
                    f"the Kafka client's {name} ended ({_how(task)}): nothing would be read any more; start the worker "
                    "again"
                )
        return None

    def _error_taken(self) -> MembershipLost | None:
        if not is_pending(self._consumer):
            return None
        coordinator = self._consumer._coordinator
        coordinator.request_rejoin()  # the task that met the error has ended; joining starts it again
        try:
            coordinator.check_errors()
        except _NOT_TO_BE_MENDED as error:
            return MembershipLost(f"Kafka does not let the worker into its group {coordinator.group_id}: {error!r}")
        except Exception as error:  # noqa: BLE001 - whatever the task met
            logger.warning("group %s: %r; joining it again", coordinator.group_id, error)
        return None

    def _standstill(self, flow_active: bool) -> MembershipLost | None:
        now_s = self._clock()
        if flow_active or not self._is_member():
            self._still_since_s = None
        elif self._still_since_s is None:
            self._still_since_s = now_s
        elif now_s - self._still_since_s > STANDSTILL_SECONDS_MAX:
            return MembershipLost(
                f"partitions were assigned {STANDSTILL_SECONDS_MAX:.0f} s ago and reading has not begun: start the "
                "worker again"
            )
        return None

    def _is_member(self) -> bool:
        """Whether the last rebalance is over for the coordinator, and heartbeats go on."""
        coordinator, subscription = self._consumer._coordinator, self._consumer._subscription
        heartbeat = coordinator._heartbeat_task
        return (
            coordinator.coordinator_id is not None
            and heartbeat is not None
            and not heartbeat.done()
            and not coordinator._rejoin_needed_fut.done()
            and not subscription.reassignment_in_progress
        )


def _how(task: asyncio.Future[object]) -> str:
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    return "without an error" if error is None else repr(error)
