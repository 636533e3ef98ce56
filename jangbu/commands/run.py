"""`jangbu up`, `worker` and `publisher`: what runs until it is stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from jangbu.errors import SettingsError
from jangbu.settings_kafka import broker_of, set_broker

if TYPE_CHECKING:
    from jangbu.context import Context
    from jangbu.services import Endpoints
    from jangbu.settings import Settings
    from producers.broker_access import BrokerAccess
    from producers.topic import TopicLog


WORKERS_MAX = 4
"""How many workers `up` runs by itself on a machine of many processors: PostgreSQL wants some of them."""


@click.command()
@click.option(
    "--workers",
    default=lambda: min(os.cpu_count() or 1, WORKERS_MAX),
    show_default="one a processor, at most 4",
    type=click.IntRange(1, 64),
    help="Stream workers to run.",
)
@click.pass_obj
def up(ctx: Context, workers: int) -> None:
    """Run everything in the foreground: embedded services where no address is set, workers, publisher, HTTP."""
    from jangbu.commands.serve import check_port
    from jangbu.services import join, running_incarnation, tell_prepared
    from jangbu.services.supervisor import Command, Supervisor, jangbu_command

    settings = ctx.settings

    def child(command: str, instance: str) -> Command:
        return jangbu_command(command, *ctx.settings_arguments, instance=instance)

    _mark_signals()
    while not _stop.is_set():
        with join(settings, {"postgres", "kafka"}, start_broker=True, exclusive=True, prepares=True,
                  command="jangbu up") as endpoints:  # fmt: skip
            check_port(settings)
            prepare(settings, endpoints)
            tell_prepared(settings)
            _say_where(settings, endpoints)
            children = [child("worker", f"worker-{number}") for number in range(1, workers + 1)]
            children.append(child("publisher", "publisher"))
            children.append(child("alerts", "alerts"))
            children.append(jangbu_command("serve", *ctx.settings_arguments, "--no-publish"))
            incarnation = endpoints.kafka_incarnation

            def broker_lost(held: str | None = incarnation) -> bool:
                return _stop.is_set() or (held is not None and running_incarnation(settings) != held)

            Supervisor(children).run(until=broker_lost)
            if incarnation is None or running_incarnation(settings) == incarnation:
                return
            click.echo("The embedded broker ended: starting it anew; accepted events are in the outbox.", err=True)


@click.command()
@click.option("--log-level", default="WARNING", show_default=True, help="What to tell on standard error.")
@click.pass_obj
def worker(ctx: Context, log_level: str) -> None:
    """Run one stream worker: topic to tables. Any number may run, anywhere."""
    from producers.contract import TimeBounds
    from streams.worker import WorkerSettings, run_worker

    settings = ctx.settings
    _log_to_stderr(log_level)
    with ctx.services(kafka=True) as endpoints:
        log = topic_log(settings, endpoints)
        data_dir = settings.data_dir / "worker"
        data_dir.mkdir(parents=True, exist_ok=True)
        worker_settings = WorkerSettings(
            broker=_needed_broker(settings, endpoints),
            database_url=endpoints.database_url_worker,
            log=log,
            data_dir=str(data_dir),
            bounds=TimeBounds(settings.max_event_ahead_seconds, settings.max_event_back_days),
        )
        sys.exit(run_worker(worker_settings, log_level))


@click.command()
@click.pass_obj
def publisher(ctx: Context) -> None:
    """Publish this data directory's outbox to Kafka until stopped."""
    from jangbu.ingesting import run_publisher

    def say(sentence: str) -> None:
        click.echo(f"publisher: {sentence}", err=True)

    _log_to_stderr("WARNING")
    _mark_signals()
    broker = set_broker(ctx.settings)
    if broker is not None:  # a broker that keeps its log: PostgreSQL has no say in it
        run_publisher(ctx.settings, broker, None, _stop, say)
        return
    with ctx.services(kafka=True) as endpoints:
        run_publisher(ctx.settings, _needed_broker(ctx.settings, endpoints), endpoints.database_url_reader, _stop, say)


@click.command()
@click.pass_obj
def alerts(ctx: Context) -> None:
    """Look for due alerts each second and deliver them, until stopped. Any number may run; one at a time looks."""
    from jangbu.alerting import run, watch_of
    from jangbu.context import engine_for
    from jangbu.pipeline_eye import PipelineEye
    from jangbu.sending import senders_of

    _log_to_stderr("WARNING")
    _mark_signals()
    with ctx.services() as endpoints, engine_for(endpoints, "billing") as engine:
        # No Kafka, no word about records that wait in it.
        broker = broker_of(ctx.settings, endpoints)
        eye = None if broker is None else PipelineEye(engine, broker, ctx.settings.topic)
        senders = senders_of(ctx.settings, ctx.people)
        run(engine, ctx.policy.zone, senders, _stop, watch_of(ctx.settings), eye)


def prepare(settings: Settings, endpoints: Endpoints) -> None:
    """Bring what is embedded to the newest schema and make its topic; leave what is not ours to `jangbu migrate`."""
    from jangbu.migrate import migrate_database
    from producers.topic import make_topic

    if "postgres" in endpoints.embedded:
        migrate_database(endpoints.database_url)
    if "kafka" in endpoints.embedded:
        broker = _needed_broker(settings, endpoints)
        make_topic(broker, settings.topic, settings.partitions, settings.retention_ms, replicas=1)


def topic_log(settings: Settings, endpoints: Endpoints) -> TopicLog:
    """The topic's present life; a sentence where it does not exist."""
    from producers.topic import TopicMissing, describe_log

    try:
        return describe_log(_needed_broker(settings, endpoints), settings.topic)
    except TopicMissing as missing:
        raise SettingsError(str(missing)) from missing


def _needed_broker(settings: Settings, endpoints: Endpoints) -> BrokerAccess:
    """Raises SettingsError where there is no Kafka."""
    broker = broker_of(settings, endpoints)
    if broker is None:
        raise SettingsError(
            "no Kafka is set and no embedded broker runs: set JANGBU_KAFKA_BOOTSTRAP or run `jangbu up`"
        )
    return broker


_stop = threading.Event()


def _mark_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stop.set())


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _say_where(settings: Settings, endpoints: Endpoints) -> None:
    from jangbu.commands.serve import address_of

    kafka = "embedded, memory only" if "kafka" in endpoints.embedded else "yours"
    postgres = "embedded" if "postgres" in endpoints.embedded else "yours"
    click.echo(
        f"jangbu is up. Kafka: {endpoints.kafka_bootstrap} ({kafka}). PostgreSQL: {postgres}. "
        f"HTTP: {address_of(settings)}. Data: {settings.data_dir}. Ctrl-C stops everything.",
        err=True,
    )
