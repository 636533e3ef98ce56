"""`jangbu ingest` and `jangbu wait`: bring usage in, and wait until it is in the books."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from jangbu.errors import NotFoundError, RefusedByStateError, SettingsError, UsageError, WorkLeftError
from jangbu.ingesting import open_outbox, outbox_path, publish_rest
from jangbu.output import print_json
from producers.adapters import ADAPTERS, Options
from producers.contract import TimeBounds
from producers.feeding import Feeder
from producers.file_progress import FileProgress, Progress, ReadTwice, Rejection
from producers.lines import LinesBroken, Place, content_id, open_file, read_lines
from producers.outbox import Outbox, OutboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jangbu.context import Context
    from jangbu.settings import Settings

STDIN = "-"
PATIENCE_S = 60.0


@dataclass(slots=True)
class _Input:
    """One file of the command, and how far it is."""

    name: str
    progress: FileProgress
    file: BinaryIO
    size_bytes: int | None
    done: Progress = field(default_factory=lambda: Progress(Place(), 0, 0))


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE|- ...")
@click.option("--format", "format_name", required=True, type=click.Choice(sorted(ADAPTERS)), help="What a line is.")
@click.option("--source", metavar="NAME", help="The gateway, where lines do not name it (litellm: required).")
@click.option(
    "--provider", "providers", multiple=True, metavar="REFERENCE=NAME", help="Whose models a reference means (envoy)."
)
@click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Where refused lines are written.")
@click.option("--patience", default=PATIENCE_S, show_default=True, metavar="S", help="How long Kafka may take nothing.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON document.")
@click.pass_obj
def ingest(
    ctx: Context,
    files: tuple[str, ...],
    format_name: str,
    source: str | None,
    providers: tuple[str, ...],
    rejects: Path | None,
    patience: float,
    as_json: bool,
) -> None:
    """Take usage from NDJSON files (plain, .gz, .zst; - is standard input) into the outbox and on to Kafka.

    An accepted line is durable. Killed and called again, a file goes on where it was. Refused lines stop nothing: they
    are reported and written to a file.
    """
    settings = ctx.settings
    adapter = ADAPTERS[format_name]
    options = Options(source or settings.source, settings.gateway_department_from, _providers(providers))
    if adapter.needs_source and not options.source:
        raise UsageError(f"--format {format_name} needs --source NAME: the gateway's name, as its JANGBU_SOURCE")
    bounds = TimeBounds(settings.max_event_ahead_seconds, settings.max_event_back_days)
    feeder = Feeder(adapter, options, bounds, now_ms)
    marks = (format_name, options.source or "", options.department_from, *sorted(providers))
    with ExitStack() as stack:
        outbox = stack.enter_context(open_outbox(settings))
        try:
            inputs = [stack.enter_context(_opened(outbox, name, marks)) for name in files]
            broken = _feed_all(feeder, inputs)
            written = _write_rejects(inputs, _rejects_path(settings, rejects, inputs), asked=rejects is not None)
            _end(settings, outbox, inputs, patience, written, as_json=as_json, broken=broken)
        except OutboxError as error:
            raise SettingsError(str(error)) from error
        except ReadTwice as error:
            raise RefusedByStateError(str(error)) from error


@click.command()
@click.option("--caught-up", is_flag=True, required=True, help="Until what is accepted now is in the books.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after so many seconds (exit 6).")
@click.option("--json", "as_json", is_flag=True, help="Where each partition stands, as one JSON document.")
@click.pass_obj
def wait(ctx: Context, caught_up: bool, timeout: float | None, as_json: bool) -> None:  # noqa: ARG001 - required flag
    """Wait until all that this data directory's outbox and Kafka hold now is in PostgreSQL, sums included.

    Returns 0 only when it is; 6 when the time is over before.
    """
    from jangbu.catching_up import wait_until_caught_up

    path = outbox_path(ctx.settings)
    outcome = wait_until_caught_up(ctx.settings, path if path.exists() else None, timeout, _say)
    if as_json:
        print_json(outcome.as_document())
    if outcome.missing:
        raise WorkLeftError(f"not caught up: {outcome.missing}")


def _providers(given: tuple[str, ...]) -> dict[str, str]:
    """References and the providers that they mean. Raises UsageError."""
    pairs = [pair.partition("=") for pair in given]
    for reference, _, name in pairs:
        if not reference or not name:
            raise UsageError(f"--provider {reference} is not REFERENCE=NAME: write --provider default/azure=azure")
    return {reference.rstrip("/"): name for reference, _, name in pairs}


def now_ms() -> int:
    """The wall clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@contextmanager
def _opened(outbox: Outbox, name: str, marks: tuple[str, ...]) -> Iterator[_Input]:
    """A file with its progress. Standard input has no content to be known by again: it is never resumed."""
    if name == STDIN:
        raw = sys.stdin.buffer
        file: Any = getattr(raw, "raw", raw)
        yield _Input(name, FileProgress(outbox, f"stdin {uuid.uuid4()}", name), file, None)
        return
    path = Path(name)
    try:
        if path.is_dir():
            raise UsageError(f"{name} is a directory: name the files in it")
        with open_file(path) as file:
            content = content_id(file, *marks)
            file.seek(0)
            progress = FileProgress(outbox, content, str(path.absolute()))
            yield _Input(name, progress, file, path.stat().st_size)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {name}: check its path") from None
    except PermissionError as error:
        raise SettingsError(f"{name} cannot be read ({error.strerror}): check its rights") from None


def _feed_all(feeder: Feeder, inputs: list[_Input]) -> str | None:
    """Read the files in their order. Returns what is wrong with the one that breaks off, if one does."""
    with _bar(inputs) as moved:
        for each in inputs:
            each.done = each.progress.begin()
            if each.done.place.line > 1:
                _say(f"{each.name} goes on at line {each.done.place.line}")
            lines = read_lines(each.file, each.done.place, feeder.adapter.line_bytes_max)
            try:
                for done in feeder.feed(lines, each.progress, each.done, eager=each.size_bytes is None):
                    each.done = done
                    moved(each)
            except LinesBroken as error:
                return (
                    f"{each.name} breaks off after line {each.done.place.line - 1}: {error}. What stands before is "
                    "accepted; bring the whole file again, lines that came twice are counted once"
                )
            moved(each)
    return None


def _end(
    settings: Settings,
    outbox: Outbox,
    inputs: list[_Input],
    patience_s: float,
    written: Path | None,
    *,
    as_json: bool,
    broken: str | None,
) -> None:
    """Publish, report, forget the progress; in this order, so that a kill in between loses no report."""
    trouble: SettingsError | None = SettingsError(broken) if broken else None
    try:
        publish_rest(settings, outbox, patience_s, _say)
    except SettingsError as error:
        trouble = trouble or error
    if as_json:
        _print_report(inputs, written)
    else:
        _print_words(inputs, written)
    if broken is None:
        for each in inputs:
            each.progress.finish()
    if trouble is not None:
        raise trouble


def _print_report(inputs: list[_Input], written: Path | None) -> None:
    """The report of contract.md, section 3; line by line, since there may be millions of rejections."""
    out = sys.stdout
    accepted, rejected = sum(each.done.accepted for each in inputs), sum(each.done.rejected for each in inputs)
    out.write(f'{{"accepted":{accepted},"rejected":{rejected},"rejections":[')
    separator = "\n"
    for each, rejection in _rejections(inputs):
        entry: dict[str, object] = {"line": rejection.line, "reason": rejection.reason, "code": rejection.code}
        if len(inputs) > 1:
            entry["file"] = each.name
        out.write(separator + json.dumps(entry, ensure_ascii=False))
        separator = ",\n"
    out.write("]" + (f',"rejects":{json.dumps(str(written))}' if written else "") + "}\n")
    out.flush()


def _print_words(inputs: list[_Input], written: Path | None) -> None:
    for each in inputs:
        click.echo(f"{each.name}: {each.done.accepted} accepted, {each.done.rejected} refused")
    if written is not None:
        click.echo(f"refused lines: {written}")


def _rejections(inputs: list[_Input]) -> Iterator[tuple[_Input, Rejection]]:
    for each in inputs:
        for rejection in each.progress.rejections():
            yield each, rejection


def _rejects_path(settings: Settings, asked: Path | None, inputs: list[_Input]) -> Path:
    if asked is not None:
        return asked
    stem = "stdin" if inputs[0].name == STDIN else Path(inputs[0].name).name
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return settings.data_dir / "rejects" / f"{stem}.{moment}.ndjson"


def _write_rejects(inputs: list[_Input], path: Path, *, asked: bool) -> Path | None:
    """Refused lines with their reasons, readable by their owner alone; whole or not there. None where none were."""
    if not asked and not any(each.done.rejected for each in inputs):
        return None
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for each, rejection in _rejections(inputs):
                entry = {"file": each.name, **rejection._asdict()}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        beside.replace(path)
    except OSError as error:
        sentence = f"the rejects file {path} cannot be written ({error.strerror}): name another with --rejects"
        raise SettingsError(sentence) from error
    return path


@contextmanager
def _bar(inputs: list[_Input]) -> Iterator[Callable[[_Input], None]]:
    """A progress bar on a terminal, by bytes read; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _each: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[accepted]} accepted, {task.fields[rejected]} refused"),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {
            id(each): bars.add_task(each.name, total=each.size_bytes, accepted=0, rejected=0) for each in inputs
        }

        def moved(each: _Input) -> None:
            read_bytes = each.file.tell() if each.size_bytes is not None else each.done.place.byte
            bars.update(
                tasks[id(each)], completed=read_bytes, accepted=each.done.accepted, rejected=each.done.rejected
            )

        yield moved


def _say(sentence: str) -> None:
    click.echo(f"jangbu: {sentence}", err=True)
