"""A worker that is no member any more, or is one and does not read, finds out and mends it, or ends."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import errors
from kafka import KafkaAdminClient

from streams import membership
from streams.membership import STANDSTILL_SECONDS_MAX, Membership
from tests.faults.events import event
from tests.faults.planted import POLL_SECONDS_MAX, REQUEST_SECONDS_MAX
from tests.integration.streams_world import StreamsWorld

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres
    from tests.services.apache_kafka import ApacheKafka

on_services = [pytest.mark.kafka, pytest.mark.postgres]
Worlds = Callable[[], StreamsWorld]


@pytest.fixture
def worlds(kafka: ApacheKafka, migrated_database: DatabaseUrls, tmp_path: Path) -> Iterator[Worlds]:
    made: list[StreamsWorld] = []

    def make() -> StreamsWorld:
        made.append(StreamsWorld(kafka, migrated_database, tmp_path))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.mark.kafka
@pytest.mark.postgres
def test_a_coordinator_that_loads_when_the_group_is_synchronised(worlds: Worlds) -> None:
    world = worlds()
    worker = world.worker(planted="tests.faults.planted:sync_meets_a_coordinator_that_loads")
    world.send([event("one"), event("two")])
    world.wait_for_records(2)
    assert "joining it again" in worker.said()
    assert worker.exit_code is None


@pytest.mark.kafka
@pytest.mark.postgres
def test_a_heartbeat_that_dies_brings_the_worker_back_into_its_group(worlds: Worlds) -> None:
    world = worlds()
    worker = world.worker(planted="tests.faults.planted:heartbeat_meets_an_unknown_error")
    world.wait("the error", lambda: "joining it again" in worker.said())
    time.sleep(worker.plan.session_s * 2)
    assert members(world, worker.plan.group) == 1
    world.send([event("one")])
    world.wait_for_records(1)
    assert worker.exit_code is None


@pytest.mark.kafka
@pytest.mark.postgres
def test_a_coordination_that_ended_ends_the_worker(worlds: Worlds) -> None:
    world = worlds()
    worker = world.worker(planted="tests.faults.planted:coordination_ends")
    code, said = world.wait_for_end(worker)
    assert code == 1
    assert "group coordination ended" in said
    assert "planted: no such connection" in said


@pytest.mark.kafka
@pytest.mark.postgres
def test_postgres_away_for_longer_than_faust_waits_after_a_rebalance(
    worlds: Worlds, postgres_server: EmbeddedPostgres
) -> None:
    world = worlds()
    worker = world.worker(start=False, planted="tests.faults.planted:little_patience")
    order = worker.order("rebalance", "stop")
    worker.start()
    world.wait("the rebalance", lambda: worker.has_done(order))
    postgres_server.kill()
    worker.signal(signal.SIGCONT)
    time.sleep(REQUEST_SECONDS_MAX * 2)
    postgres_server.start()
    world.send([event("one"), event("two"), event("three")])
    world.wait_for_records(3)
    assert worker.exit_code is None


@pytest.mark.kafka
@pytest.mark.postgres
def test_postgres_away_for_longer_than_a_consumer_may_fetch_nothing(
    worlds: Worlds, postgres_server: EmbeddedPostgres
) -> None:
    world = worlds()
    worker = world.worker(planted="tests.faults.planted:short_poll_interval")
    world.send([event("0")])
    world.wait_for_records(1)
    postgres_server.kill()
    give_up_s = time.monotonic() + POLL_SECONDS_MAX * 4
    sent = 1
    while time.monotonic() < give_up_s:  # until the queue is full and nothing is fetched, and on
        world.send([event(str(sent))])
        sent += 1
        time.sleep(0.2)
    postgres_server.start()
    world.wait_for_records(sent)
    assert worker.exit_code is None


def members(world: StreamsWorld, group: str) -> int:
    """How many members the group has, asked of the broker."""
    admin = KafkaAdminClient(bootstrap_servers=world.broker.bootstrap)
    try:
        return len(admin.describe_groups([group])[group]["members"])
    finally:
        admin.close()


class Client:
    """What Membership sees of aiokafka, all of it well."""

    def __init__(self) -> None:
        self.rejoins = 0
        self.raised: Exception | None = None
        self._coordinator = SimpleNamespace(
            group_id="a-group",
            coordinator_id=1,
            _coordination_task=asyncio.Future[None](),
            _heartbeat_task=asyncio.Future[None](),
            _rejoin_needed_fut=asyncio.Future[None](),
            _pending_exception=None,
            request_rejoin=self._rejoin,
            check_errors=self._check_errors,
        )
        self._fetcher = SimpleNamespace(_fetch_task=asyncio.Future[None]())
        self._client = SimpleNamespace(_sync_task=asyncio.Future[None]())
        self._subscription = SimpleNamespace(reassignment_in_progress=False)

    def fail(self, error: Exception) -> None:
        self._coordinator._pending_exception = error

    def _rejoin(self) -> None:
        self.rejoins += 1

    def _check_errors(self) -> None:
        error, self._coordinator._pending_exception = self._coordinator._pending_exception, None
        raise error


@pytest.fixture
def watched() -> Iterator[tuple[Client, Membership, list[float]]]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client, now_s = Client(), [0.0]
    whole: Any = client
    yield client, Membership(whole, clock=lambda: now_s[0]), now_s
    asyncio.set_event_loop(None)
    loop.close()


Watched = tuple[Client, Membership, list[float]]


def test_an_error_that_may_pass_is_taken_once_and_the_group_joined_again(watched: Watched) -> None:
    client, looked_after, _ = watched
    client.fail(errors.KafkaError("unexpected"))
    assert looked_after.fault(flow_active=True) is None
    assert client.rejoins == 1
    assert looked_after.fault(flow_active=True) is None
    assert client.rejoins == 1


def test_an_error_that_stays_ends_the_worker(watched: Watched) -> None:
    client, looked_after, _ = watched
    client.fail(errors.GroupAuthorizationFailedError("a-group"))
    fault = looked_after.fault(flow_active=True)
    assert "a-group" in str(fault)


@pytest.mark.parametrize("place", ["_coordinator._coordination_task", "_fetcher._fetch_task", "_client._sync_task"])
def test_a_task_that_ended_ends_the_worker(watched: Watched, place: str) -> None:
    client, looked_after, _ = watched
    part, name = place.split(".")
    getattr(getattr(client, part), name).set_exception(KeyError("gone"))
    assert "KeyError('gone')" in str(looked_after.fault(flow_active=True))


def test_a_member_whose_flow_stands_still_ends(watched: Watched) -> None:
    _, looked_after, now_s = watched
    assert looked_after.fault(flow_active=False) is None
    now_s[0] = STANDSTILL_SECONDS_MAX
    assert looked_after.fault(flow_active=False) is None
    now_s[0] += 1
    assert "reading has not begun" in str(looked_after.fault(flow_active=False))


def test_a_worker_between_two_memberships_may_stand_still_for_as_long_as_the_broker_is_away(watched: Watched) -> None:
    client, looked_after, now_s = watched
    for client._subscription.reassignment_in_progress in (False, True, False):
        assert looked_after.fault(flow_active=False) is None
        now_s[0] += STANDSTILL_SECONDS_MAX
    client._coordinator._heartbeat_task = None
    now_s[0] += STANDSTILL_SECONDS_MAX
    assert looked_after.fault(flow_active=False) is None


def test_a_flow_that_goes_on_is_no_standstill(watched: Watched) -> None:
    _, looked_after, now_s = watched
    for active in (False, True, False):
        assert looked_after.fault(flow_active=active) is None
        now_s[0] += STANDSTILL_SECONDS_MAX


def test_it_is_looked_after_well_within_a_session() -> None:
    assert membership.LOOKED_AFTER_EVERY_SECONDS < 2
