"""How a command takes over a file that a person brings: tried, shown, asked about on a terminal, written whole."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from jangbu.errors import NotFoundError, RefusedByStateError, UsageError
from jangbu.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from jangbu.context import Context

Result = TypeVar("Result")


class ExistingFile(click.ParamType):
    """A file that a person names: one that is not there is not found (exit 4), a directory is a wrong argument (2)."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The file's path."""
        path = Path(value)
        if not path.exists():
            raise NotFoundError(f"there is no file {value!r}: check its name and the directory that you are in")
        if path.is_dir():
            self.fail(f"{value!r} is a directory: name a file", param, ctx)
        return path


def import_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every import takes beside its file: --dry-run, --yes, --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show what would change; write nothing."),
    ):
        command = option(command)
    return command


def file_import_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same with FILE, one that exists."""
    return click.argument("file", type=ExistingFile())(import_options(command))


@contextmanager
def refusals() -> Iterator[None]:
    """A refused file or value is the user's to correct: one message with every place, exit 2 (5 for a state)."""
    from billing.errors import BillingError, StateRefused

    try:
        yield
    except StateRefused as error:
        raise RefusedByStateError(str(error)) from error
    except BillingError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What an import did within its transaction; `details` are shown before a person is asked."""

    result: Result
    has_changes: bool
    sentence: str
    details: tuple[str, ...] = ()


def write(ctx: Context, work: Callable[[Connection], Outcome[Result]], *, dry_run: bool, yes: bool) -> Outcome[Result]:
    """Do an import in a transaction of the billing login. On a terminal it is tried first, taken back, and asked about,
    so that no lock is held while a person thinks."""
    asks = not dry_run and not yes and sys.stdin.isatty() and sys.stdout.isatty()
    with refusals(), ctx.engine("billing") as engine, engine.connect() as connection:
        outcome = work(connection)
        if asks and outcome.has_changes:
            connection.rollback()
            for line in (outcome.sentence, *outcome.details):
                click.echo(line, err=True)
            if not click.confirm("Write this?", err=True):
                raise RefusedByStateError("nothing was written: you said no")
            outcome = work(connection)
        if dry_run:
            connection.rollback()
        else:
            connection.commit()
        return outcome


def import_state(*, dry_run: bool) -> dict[str, Any]:
    """How every import's JSON begins."""
    return {"dry_run": dry_run, "written": not dry_run}


def print_import(document: dict[str, Any], outcome: Outcome[Any], *, as_json: bool, dry_run: bool) -> None:
    """What an import did, as one JSON document or a sentence with its details."""
    if as_json:
        print_json({**import_state(dry_run=dry_run), **document})
        return
    click.echo(outcome.sentence + (" (dry run: nothing written)" if dry_run else ""))
    for detail in outcome.details:
        click.echo(f"  {detail}")
