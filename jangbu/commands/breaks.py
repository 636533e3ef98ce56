"""`jangbu break`: the work list of differences: list, show, decide."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.invoices import refusals
from jangbu.errors import NotFoundError, RefusedByStateError, UsageError, WorkLeftError
from jangbu.made_files import make_directory, write_whole
from jangbu.output import print_json, print_rows, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from billing.breaks.deciding import Asked, Decided
    from billing.breaks.states import Action
    from billing.breaks.worklist import Wanted, WorkItem
    from billing.outputs.texts import Language
    from jangbu.context import Context

STATES = click.Choice(["open", "accepted", "disputed", "resolved", "written-off"])
CLASSES = click.Choice([
    "TAX", "CREDIT_OR_DISCOUNT", "FEE", "DUPLICATE", "UNKNOWN_MODEL", "PERIOD_EDGE", "BYPASS", "NOT_BILLED",
    "UNIT_SCALE", "UNIT_CLASS", "ROUNDING", "QUANTITY", "PRICE", "FX", "UNEXPLAINED",
], case_sensitive=False)  # fmt: skip
ASKED_ROWS_MAX = 20


@click.group("break")
def break_() -> None:
    """Differences between vendors' invoices and us: list, show, and decide about them."""


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which breaks: --month, --vendor, --class, --state, --owner."""
    for option in (
        click.option("--owner", "of_owner", help="Those that somebody works on."),
        click.option("--state", type=STATES, help="`open` also takes decided ones whose amount has changed."),
        click.option("--class", "cls", type=CLASSES, help="One class only."),
        click.option("--vendor", help="One vendor only."),
        click.option("--month", metavar="YYYY-MM", help="The vendor's month."),
    ):
        command = option(command)
    return command


def decision_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every decision takes: which breaks, why, and whether it is only tried."""
    for option in (
        click.option("--json", "as_json", is_flag=True),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing."),
        click.option("--reason", required=True, help="Why; kept with who and when."),
    ):
        command = option(command)
    return click.argument("names", metavar="[BREAK]...", nargs=-1)(filter_options(command))


@break_.command("list")
@filter_options
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def break_list(ctx: Context, /, as_json: bool, as_csv: bool, **chosen: str | None) -> None:
    """Breaks of the newest reconciliations with what was decided, largest first. Exit 6 where open ones are listed."""
    from billing.breaks.documents import COLUMNS, SHOWN, item_document, item_row
    from billing.breaks.worklist import read_items
    from billing.store import snapshot

    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        items = read_items(connection, _wanted(chosen))
    if as_json:
        print_json({"breaks": [item_document(item) for item in items]})
    else:
        columns = COLUMNS if as_csv else SHOWN
        print_rows(columns, [item_row(item, columns) for item in items], as_csv=as_csv, right=("amount", "difference"))
    left = sum(item.is_open for item in items)
    if left:
        raise WorkLeftError(f"{left} of {len(items)} breaks are open: accept, dispute, resolve or write them off")


@break_.command("show")
@click.argument("name", metavar="BREAK")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def break_show(ctx: Context, name: str, as_json: bool) -> None:
    """One break: what it is about, the evidence of each day, its history, and the same one in other months."""
    from billing.breaks.documents import item_document
    from billing.breaks.identity import parse_name
    from billing.breaks.worklist import Wanted, read_items
    from billing.store import snapshot

    with _found(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        (item,) = read_items(connection, Wanted(), [parse_name(name)])
    document = item_document(item, with_history=True)
    if as_json:
        print_json(document)
        return
    for line in _shown(item, document):
        click.echo(safe_text(line))


@break_.command("accept")
@decision_options
@click.pass_obj
def break_accept(ctx: Context, /, **given: Any) -> None:
    """The vendor is right: pay it, and charge departments by the rules of shared costs."""
    _decide(ctx, "accept", given)


@break_.command("dispute")
@decision_options
@click.pass_obj
def break_dispute(ctx: Context, /, **given: Any) -> None:
    """The vendor is wrong: nothing is charged; `break export` writes the letter."""
    _decide(ctx, "dispute", given)


@break_.command("resolve")
@decision_options
@click.pass_obj
def break_resolve(ctx: Context, /, **given: Any) -> None:
    """Settled elsewhere, by a credit note or a correction of ours: nothing is charged."""
    _decide(ctx, "resolve", given)


@break_.command("writeoff")
@decision_options
@click.pass_obj
def break_writeoff(ctx: Context, /, **given: Any) -> None:
    """Not worth the work: paid and charged like an accepted one. Above the limit it waits for a second person."""
    _decide(ctx, "writeoff", given)


@break_.command("confirm")
@decision_options
@click.pass_obj
def break_confirm(ctx: Context, /, **given: Any) -> None:
    """The second person's yes to a write-off that waits; another web or token identity than who proposed it."""
    _decide(ctx, "confirm", given)


@break_.command("reopen")
@decision_options
@click.pass_obj
def break_reopen(ctx: Context, /, **given: Any) -> None:
    """Take a decision back; what was charged for it is taken back too, in the open month if its own is closed."""
    _decide(ctx, "reopen", given)


@break_.command("assign")
@decision_options
@click.option("--to", "owner", required=True, help="Who works on it from now on.")
@click.pass_obj
def break_assign(ctx: Context, /, owner: str, **given: Any) -> None:
    """Say who works on breaks."""
    _decide(ctx, "assign", given, owner)


@break_.command("comment")
@decision_options
@click.pass_obj
def break_comment(ctx: Context, /, **given: Any) -> None:
    """Add a word (--reason) to the history; nothing else changes."""
    _decide(ctx, "comment", given)


@break_.command("export")
@click.option("--vendor", required=True, help="Who billed it, as the register names it.")
@click.option("--month", required=True, metavar="YYYY-MM", help="The vendor's month.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Made if it is missing.")
@click.option("--lang", "language", type=click.Choice(["ko", "en"]), help="Of the letter. Default: by the locale.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def break_export(ctx: Context, vendor: str, month: str, out: Path, language: Language | None, as_json: bool) -> None:
    """What is disputed with a vendor: a letter (PDF) and a table (CSV, XLSX), without users, departments or keys."""
    from billing.store import snapshot
    from jangbu.languages import chosen
    from jangbu.month_letters import dispute_files

    with _found(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        made = dispute_files(connection, vendor, month, ctx.settings.organisation, chosen(language))
    files = made.files
    make_directory(out)
    for file, content in files.items():
        write_whole(out / file, content)
    if as_json:
        print_json({"vendor": vendor, "month": month, "breaks": [one.name for one in made.items], "rows": made.rows,
                    "files": [str(out / file) for file in files]})  # fmt: skip
    else:
        for file in files:
            click.echo(str(out / file))


def _wanted(chosen: dict[str, Any]) -> Wanted:
    from billing.breaks.worklist import Wanted
    from billing.periods import month_in

    if chosen["month"] is not None:
        month_in(chosen["month"], "UTC")
    state = chosen["state"] and chosen["state"].replace("-", "_")
    return Wanted(chosen["month"], chosen["vendor"], chosen["cls"], state, chosen["of_owner"])


def _decide(ctx: Context, action: Action, given: dict[str, Any], owner: str | None = None) -> None:
    """Do it, or on a terminal show it, ask, and do it about what was shown."""
    from billing.breaks.deciding import Asked, decide
    from billing.breaks.documents import decided_document
    from billing.breaks.identity import parse_name
    from jangbu.settings_breaks import person_acting

    dry_run, as_json = given["dry_run"], given["as_json"]
    asks = not dry_run and not given["yes"] and sys.stdin.isatty() and sys.stdout.isatty()
    with _found():
        wanted = _wanted(given)
        if given["names"] and not wanted.is_everything:
            raise UsageError("breaks are named and a filter is given as well: use one of them")
        asked = Asked(
            action, given["reason"], person_acting(ctx.settings) or ctx.actor,
            tuple(parse_name(name) for name in given["names"]), wanted, owner,
            ctx.settings.writeoff_limit, ctx.policy.currency,
        )  # fmt: skip
        with ctx.engine("billing") as engine, engine.connect() as connection:
            done = decide(connection, asked)
            if asks:
                connection.rollback()
                _ask(done, asked)
                done = decide(connection, replace(asked, seen={one.item.at: one.item.place for one in done}))
            if dry_run:
                connection.rollback()
            else:
                connection.commit()
    if as_json:
        print_json({"dry_run": dry_run, "action": action, "reason": asked.reason.strip(), "actor": asked.actor,
                    "breaks": [decided_document(one) for one in done]})  # fmt: skip
        return
    for line in _sentences(done):
        click.echo(safe_text(line) + (" (dry run: nothing written)" if dry_run else ""))


def _ask(done: Sequence[Decided], asked: Asked) -> None:
    for line in _sentences(done[:ASKED_ROWS_MAX]):
        click.echo(safe_text(line), err=True)
    if len(done) > ASKED_ROWS_MAX:
        click.echo(f"and {len(done) - ASKED_ROWS_MAX} more", err=True)
    if not click.confirm(f"{asked.action} {len(done)} breaks?", err=True):
        raise RefusedByStateError("nothing was written: you said no")


def _sentences(done: Sequence[Decided]) -> list[str]:
    """A line for each break."""
    from billing.money import plain

    lines = []
    for one in done:
        item = one.item
        what = f"{item.name} {item.vendor} {item.cls} {plain(item.amount)} {item.currency}"
        if one.action == "propose":
            lines.append(f"{what}: its write-off waits for a second person (`jangbu break confirm {item.name}`)")
        elif one.action in ("assign", "comment"):
            lines.append(f"{what}: noted, {one.state.replace('_', ' ')}")
        else:
            lines.append(f"{what}: {one.state.replace('_', ' ')}")
    return lines


def _shown(item: WorkItem, document: dict[str, Any]) -> list[str]:
    """A break as a person reads it."""
    from billing.breaks.documents import also_words

    about = ", ".join(f"{name} {value}" for name, value in item.key.items())
    lines = [
        f"{item.name}  {item.vendor} {item.month}  {item.cls}  {document['amount']} {item.currency}",
        f"  {about or 'the invoice as a whole'}" + ("; provisional" if item.provisional else ""),
        f"  ours {_side(document['ours'])}; vendor {_side(document['vendor_side'])}",
        f"  {item.state.replace('_', ' ')}" + (f", owner {item.owner}" if item.owner else ""),
    ]
    if item.is_open and item.state != "open":
        lines.append(f"  decided was {document['decided_amount']}; {document['difference']} is open again")
    if item.proposed is not None:
        lines.append(f"  a write-off of {document['proposed_writeoff']} waits for a second person")
    if item.earlier:
        lines.append(f"  also {also_words(item)}")
    lines += [f"  {one['day']}: {one['why']}" for one in document["evidence"]]
    for row in item.history:
        at = row.decided_at.strftime("%Y-%m-%d %H:%M")
        owner = f" to {row.owner}" if row.action == "assign" else ""
        lines.append(f"  {at} {row.actor} {row.action}{owner}: {row.reason}")
    return lines


def _side(side: dict[str, str | None]) -> str:
    return f"{side['quantity'] or '?'} units, {side['amount'] or '?'}"


@contextmanager
def _found() -> Iterator[None]:
    """A break that is not there is not found (exit 4), whatever else refuses is a wrong word or a state."""
    from billing.breaks.worklist import NoSuchBreak

    try:
        with refusals():
            yield
    except UsageError as error:
        if isinstance(error.__cause__, NoSuchBreak):
            raise NotFoundError(str(error)) from error
        raise
