"""`jangbu demo`: a month of an invented city hall through the whole product, and one screen of what came out."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.errors import LawViolatedError, UsageError
from jangbu.output import print_json

if TYPE_CHECKING:
    from jangbu.context import Context
    from jangbu.demo.messages import Language

MONTH = "2026-10"
USERS_MIN = 50


@click.command()
@click.option("--dir", "directory", type=click.Path(path_type=Path), default="jangbu-demo", show_default=True,
              help="The demo's own directory: emptied first if a demo made it, refused if it holds anything else.")
@click.option("--month", metavar="YYYY-MM", help=f"A month that has ended (default {MONTH}).")
@click.option("--users", type=click.IntRange(USERS_MIN, 100_000), default=10_000, show_default=True, help="Employees.")
@click.option("--events", type=click.IntRange(1_000, 10_000_000), default=300_000, show_default=True,
              help="About so many requests.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Another seed, another city.")
@click.option("--lang", "language", type=click.Choice(["ko", "en"]), help="Default: by the locale.")
@click.option("--serve/--no-serve", default=False, show_default=True,
              help="Serve the pages of this month until stopped, or end when the screen is printed.")
@click.option("--json", "as_json", is_flag=True, help="All figures as one JSON document instead of the screen.")
@click.pass_obj
def demo(ctx: Context, directory: Path, month: str | None, users: int, events: int, seed: int,
         language: Language | None, serve: bool, as_json: bool) -> None:
    """A month of an invented city hall, from gateway files to a reconciled invoice, on one screen.

    Embedded services only, in a directory of its own. Exit 7 if a law does not hold or the proof is not 0.
    """
    from jangbu.demo.messages import CATALOGUES, language_of
    from jangbu.demo.people import Plan
    from jangbu.demo.place import check_place
    from jangbu.demo.run import check_month, last_month, run_demo
    from jangbu.demo.talk import Talk

    given = [name for name, value in ctx.flags.items() if value is not None]
    if given or ctx.config is not None:
        name = (given[0] if given else "config").replace("_", "-")
        raise UsageError(f"--{name} is for real use, and a demo brings its own services: leave it out, or use --dir")
    chosen = language or language_of(os.environ)
    words = CATALOGUES[chosen]
    now = datetime.now(UTC)
    if month is None:
        month = MONTH
        try:
            check_month(month, now)
        except UsageError:
            month = last_month(now)
            click.echo(words["other_month"].format(month=MONTH, other=month), err=True)
    check_month(month, now)
    place = check_place(directory, ctx.settings.data_dir)
    figures = run_demo(Plan(month, users, events, seed), place, Talk(), words)
    if as_json:
        print_json(figures.as_document())
    else:
        from jangbu.demo.screen import print_screen

        print_screen(figures, words, chosen)
    if not figures.holds:
        raise LawViolatedError(f"the books of the demo do not hold; see {place.outputs}/audit.json: this is our fault")
    if serve:
        from jangbu.demo.serving import serve_demo

        serve_demo(place, figures.largest, words)
