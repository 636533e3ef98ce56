"""The fault harness itself: a short run of it is clean, and a planted defect does not get past it."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from jangbu.services import ports
from producers.broker_access import BrokerAccess
from producers.topic import describe_log, make_topic, reach
from tests.faults import load
from tests.faults.ground import WORKERS, Ground
from tests.faults.kinds import KINDS
from tests.faults.run import FAULTS, Report, rounds, run, table
from tests.services.apache_kafka import ApacheKafka, KafkaUnavailableError, fetch_libs

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(600)]

KILLED_IN_THE_TRANSACTION = tuple(kind for kind in KINDS if kind.name == "worker killed in the transaction")


@pytest.fixture(autouse=True)
def _kafka_libs() -> None:
    try:
        fetch_libs()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))


def test_a_short_run_with_each_kind_of_fault_is_clean(tmp_path: Path) -> None:
    report = run(tmp_path, 7, len(KINDS))
    assert report.violations == [], table(report)
    assert report.stuck == "", table(report)
    assert sorted(report.struck) == sorted(kind.name for kind in KINDS)
    assert report.exit_code == 0


def test_an_offset_that_is_moved_before_its_events_are_stored_is_caught(tmp_path: Path) -> None:
    """Ack before commit, offset outside of the transaction: a kill in between loses a chunk, and the truth says so."""
    report = run(tmp_path, 7, 6, sink="tests.faults.sinks:OffsetFirstSink", kinds=KILLED_IN_THE_TRANSACTION)
    assert any("events are lost" in sentence for sentence in report.violations), table(report)
    assert any("law 1" in sentence for sentence in report.violations), table(report)
    assert report.exit_code == 7


def test_sums_of_copies_are_caught(tmp_path: Path) -> None:
    copies = tuple(kind for kind in KINDS if kind.name in ("copies sent", "sent in no order"))
    report = run(tmp_path, 7, 4, sink="tests.faults.sinks:SumsOfCopiesSink", kinds=copies)
    assert any(sentence.startswith("sum of") for sentence in report.violations), table(report)
    assert any("law 2" in sentence for sentence in report.violations), table(report)
    assert not any("lost" in sentence for sentence in report.violations), table(report)
    assert report.exit_code == 7


def test_workers_that_end_are_replaced_also_where_no_fault_looks_at_them(tmp_path: Path) -> None:
    with Ground(tmp_path, 7) as ground:
        ground.warm_up()
        before = [worker.plan.name for worker in ground.workers]
        for worker in list(ground.workers):
            worker.order("before_sql", "kill")
        ground.wait("others in their places", lambda: not {w.plan.name for w in ground.workers} & set(before))
        ground.wait("a chunk of theirs", lambda: any(ground.has_stored(worker) for worker in ground.workers))
        assert ground.ended_by_themselves == []


def test_what_each_party_was_doing_is_written_down(tmp_path: Path) -> None:
    with Ground(tmp_path, 7) as ground:
        ground.warm_up()
        ground.workers[2].signal(signal.SIGSTOP)
        stuck = ground.stuck("nothing came")
        ground.workers[2].signal(signal.SIGCONT)
    text = ground.testimonies[0].read_text(encoding="utf-8")
    assert str(ground.testimonies[0]) in str(stuck)
    assert "'group_state'" in text
    assert "fatal error: none" in text
    assert text.count("Consumer._drain_messages") == WORKERS - 1
    assert text.count("coordinator: ") == WORKERS - 1
    assert text.count("Current thread") >= WORKERS - 1
    assert "no answer in" in text
    assert "cannot be asked" not in text


def test_a_producer_that_stands_still_is_replaced_and_nothing_is_lost(
    kafka: ApacheKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "REPLACED_AFTER_S", 10.0)
    monkeypatch.setattr(load, "LOOKED_AFTER_EVERY_S", 0.0)
    topic = f"usage.{uuid.uuid4().hex[:12]}"
    broker = BrokerAccess(kafka.bootstrap)
    make_topic(broker, topic, 2, replicas=1)
    sending = load.Load(kafka.bootstrap, topic, 7, tmp_path / "producer.log")
    (closed_port,) = ports.free_ports(1)
    nowhere = {"bootstrap.servers": f"127.0.0.1:{closed_port}", "log_level": 0, "on_delivery": sending._told}
    sending._producer = Producer(nowhere)
    sending.send_new(50)
    assert sending.flush(60.0) == 0
    assert sending.replaced == 1
    assert sending.failed == []
    ends = reach(broker, describe_log(broker, topic))
    assert sum(place.end for place in ends.values()) == sending.records


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_holds_every_fault_once_and_none_twice_in_one_place(seed: int) -> None:
    planned = rounds(seed, FAULTS)
    assert sum(len(struck) for struck in planned) == FAULTS
    assert {kind.name for struck in planned for kind, _ in struck} == {kind.name for kind in KINDS}
    for struck in planned:
        places = [(kind.target, place) for kind, place in struck]
        assert len(set(places)) == len(places)
    assert rounds(seed, FAULTS) == planned


def test_a_run_that_did_not_strike_all_faults_is_no_success() -> None:
    report = Report(seed=1, wanted=2)
    assert report.exit_code == 6
    report.struck["broker killed"] = 2
    assert report.exit_code == 0
    report.stuck = "stuck"
    assert report.exit_code == 1
    report.violations.append("lost")
    assert report.exit_code == 7
