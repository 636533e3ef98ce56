"""`jangbu price` and `jangbu fx`: the dated price book and the rates of exchange."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.terms import terms
from jangbu.errors import UsageError, WorkLeftError
from jangbu.importing import Outcome, file_import_options, import_options, print_import, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:

    from sqlalchemy import Connection

    from billing.fx import FxRow
    from billing.price_file import PriceChanges
    from billing.seed import Seed
    from jangbu.context import Context

PRICE_COLUMNS = (
    "price_id",
    "origin",
    "provider",
    "model",
    "unit",
    "service_tier",
    "region",
    "prompt_above",
    "currency",
    "price",
    "per",
    "valid_from",
    "valid_to",
    "source",
)
FX_COLUMNS = ("date", "base", "quote", "rate", "source")


@click.group()
def price() -> None:
    """The dated price book: list, seed, import, check; terms of the contract."""


price.add_command(terms)


@price.command("list")
@click.option("--provider", help="Rows of one provider only.")
@click.option("--model", help="Rows of one model of the book only.")
@click.option("--all", "with_replaced", is_flag=True, help="Also rows that a later one replaced.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def price_list(
    ctx: Context, provider: str | None, model: str | None, with_replaced: bool, as_json: bool, as_csv: bool
) -> None:
    """Price rows with their validity, currency, source and id."""
    from billing.price_documents import price_documents
    from billing.store import read_price_rows, snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        rows = read_price_rows(connection, None if provider is None else [provider])
    documents = [
        one
        for one in price_documents(rows, with_replaced=with_replaced)
        if model is None or one["model"].lower() == model.lower()
    ]
    if as_json:
        print_json({"prices": documents})
    else:
        print_rows(
            PRICE_COLUMNS,
            ([document[name] for name in PRICE_COLUMNS] for document in documents),
            as_csv=as_csv,
            right=("prompt_above", "price", "per"),
        )


@price.command("seed")
@click.option("--from", "since", metavar="TIME", help="Since when undated list prices that changed hold (a UTC hour).")
@import_options
@click.pass_obj
def price_seed(ctx: Context, since: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take over the list prices of the installed genai-prices package."""
    from billing.price_documents import changes_document, changes_sentence
    from billing.seeding import seed_prices

    from_hour = None if since is None else _hour_option(since)

    def work(connection: Connection) -> Outcome[tuple[Seed, PriceChanges]]:
        seed, changes = seed_prices(connection, ctx.actor, from_hour=from_hour)
        return Outcome((seed, changes), bool(changes.new_rows), changes_sentence(changes, seed.source))

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    seed, changes = outcome.result
    document = {"source": seed.source, **changes_document(changes), "not_carried": list(seed.not_carried)}
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)
    if not as_json and seed.not_carried:
        click.echo(f"not carried, and unpriced until imported ({len(seed.not_carried)}):", err=True)
        for sentence in seed.not_carried:
            click.echo(f"  {sentence}", err=True)


@price.command("import")
@file_import_options
@click.pass_obj
def price_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add agreed prices from a CSV file; they go before list prices. Rows are never overwritten."""
    from jangbu.book_imports import import_prices

    raw, zone = file.read_bytes(), ctx.policy.zone

    def work(connection: Connection) -> Outcome[dict[str, Any]]:
        return import_prices(connection, raw, file.name, ctx.actor, zone)

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@price.command("check")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def price_check(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """Gaps and overlaps in the book, agreed prices far from the list, and use without a price (exit 6)."""
    from billing.price_check import Finding
    from billing.store import snapshot
    from jangbu.book_imports import check_book

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        unpriced, findings = check_book(connection)
    rows = [*unpriced, *findings]
    if as_json:
        print_json({"findings": [finding._asdict() for finding in rows]})
    else:
        print_rows(Finding._fields, rows, as_csv=as_csv)
    if unpriced:
        raise WorkLeftError(
            f"{len(unpriced)} units of models are used without a price: import prices with `jangbu price import FILE`"
        )


@click.group()
def fx() -> None:
    """Rates of exchange: import, list."""


@fx.command("import")
@file_import_options
@click.pass_obj
def fx_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add rates from a CSV file: date, base, quote, rate (quote units for ONE base), source."""
    from jangbu.book_imports import import_rates

    raw = file.read_bytes()

    def work(connection: Connection) -> Outcome[dict[str, Any]]:
        return import_rates(connection, raw, file.name, ctx.actor)

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@fx.command("list")
@click.option("--base", help="Rates of one currency only.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def fx_list(ctx: Context, base: str | None, as_json: bool, as_csv: bool) -> None:
    """The rates that count, by day."""
    from billing.price_documents import fx_document
    from billing.store import read_fx_rows, snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        counting: dict[tuple[Any, ...], FxRow] = {
            (row.date, row.base, row.quote): row for row in read_fx_rows(connection) if base in (None, row.base)
        }
    documents = [fx_document(counting[key]) for key in sorted(counting)]
    if as_json:
        print_json({"rates": documents})
    else:
        print_rows(
            FX_COLUMNS,
            ([document[name] for name in FX_COLUMNS] for document in documents),
            as_csv=as_csv,
            right=("rate",),
        )


def _hour_option(text: str) -> int:
    from datetime import datetime

    from billing.periods import hour_number, is_whole_hour

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not is_whole_hour(moment):
        raise UsageError(f"--from is {text!r}: write a whole UTC hour such as 2026-10-01T00:00:00Z")
    return hour_number(moment)
