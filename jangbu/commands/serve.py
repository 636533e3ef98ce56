"""`jangbu serve`: the web application on one address, until it is stopped."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.context import Context
    from jangbu.settings import Settings
    from jangbu.web.door import Door


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), metavar="PORT", help="Where to listen (default 8080).")
@click.option("--host", metavar="ADDRESS", help="On which address (default 127.0.0.1: this machine alone).")
@click.option("--publish/--no-publish", default=True, help="Whether to send the outbox on to Kafka as well.")
@click.pass_obj
def serve(ctx: Context, port: int | None, host: str | None, *, publish: bool) -> None:
    """Pages for people; events over HTTP (POST /v1/events) into the outbox and on to Kafka; quotas, health, metrics."""
    from billing.pledges.pledge import PledgeRules
    from jangbu.languages import chosen
    from jangbu.settings import resolve_token
    from jangbu.web.books import Books
    from jangbu.web.quota_keeper import QuotaKeeper
    from jangbu.web.serving import listen, serve_until_stopped
    from jangbu.web.signin.entrance import entrance_of
    from jangbu.web.site import whole_application

    settings = ctx.settings
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    host, port = host or settings.http_host, port or settings.port
    with ExitStack() as stack:
        listener = stack.enter_context(listen(host, port))
        door = stack.enter_context(opened_door(settings))
        if publish:
            stack.enter_context(_publishing(ctx))
        click.echo(f"jangbu serves on {_address(host, port)}. Token: {_token_place(settings)}.", err=True)
        rules = PledgeRules(settings.pledge_version, settings.pledge_valid_days)
        quotas = QuotaKeeper(ctx.engine, settings.timezone, rules, settings.pledge_url)
        stack.callback(quotas.close)
        books = stack.enter_context(Books(ctx, quotas.board))
        token, address = resolve_token(settings), _address(host, port)
        entrance = entrance_of(settings, lambda: books.engine("billing"), token, address, _say)
        serve_until_stopped(whole_application(door, books, quotas, entrance, chosen(None)), listener)


def address_of(settings: Settings) -> str:
    """Where `serve` listens by its settings."""
    return _address(settings.http_host, settings.port)


def check_port(settings: Settings) -> None:
    """Raise SettingsError (exit 3) where `serve` could not listen now."""
    from jangbu.web.serving import listen

    listen(settings.http_host, settings.port).close()


@contextmanager
def opened_door(settings: Settings) -> Iterator[Door]:
    """The door of this data directory. Raises SettingsError."""
    from jangbu.ingesting import open_outbox
    from jangbu.settings import resolve_token
    from jangbu.web.door import Door, DoorLimits
    from jangbu.web.token_file import TokensNow
    from producers.contract import TimeBounds

    named = settings.tokens_file
    file = named or settings.data_dir / "tokens"
    tokens = TokensNow(resolve_token(settings), file, required=named is not None)
    limits = DoorLimits(
        body_bytes_max=settings.http_body_bytes_max,
        body_seconds_max=settings.http_body_seconds_max,
        batch_events_max=settings.http_batch_events_max,
        events_per_second=settings.http_events_per_second,
    )
    bounds = TimeBounds(settings.max_event_ahead_seconds, settings.max_event_back_days)
    with open_outbox(settings) as outbox:
        door = Door(outbox, tokens, limits, bounds, gateway=settings.source)
        try:
            yield door
        finally:
            door.close()


@contextmanager
def _publishing(ctx: Context) -> Iterator[None]:
    """A publisher in a process of its own, where Kafka's address is set; else `jangbu up` sends the events on."""
    from jangbu.services.supervisor import Supervisor, jangbu_command

    if ctx.settings.kafka_bootstrap is None:
        click.echo("jangbu: no Kafka is set: `jangbu up` sends on what is in the outbox", err=True)
        yield
        return
    supervisor = Supervisor([jangbu_command("publisher", *ctx.settings_arguments)])
    thread = threading.Thread(target=supervisor.run, name="supervisor")
    thread.start()
    try:
        yield
    finally:
        supervisor.ask_to_stop()
        thread.join()


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _token_place(settings: Settings) -> str:
    return "JANGBU_TOKEN" if settings.token is not None else str(settings.token_file)
