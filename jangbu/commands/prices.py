"""`jangbu price` and `jangbu fx`: the dated price book and the rates of exchange."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.terms import terms
from jangbu.errors import UsageError, WorkLeftError
from jangbu.importing import Outcome, file_import_options, import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.fx import FxRow
    from billing.price_file import PriceChanges
    from billing.price_impact import Impact
    from billing.prices import PriceBook, PriceRow
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
DIFF_LINES_MAX = 20
HOUR_FORMAT = "%Y-%m-%dT%H:%MZ"


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
    from billing.prices import FOREVER, in_force
    from billing.store import read_price_rows, snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        rows = read_price_rows(connection, None if provider is None else [provider])
    ends = {term.row.id: term.end_hour for term in in_force(rows)}
    documents = [
        {**_price_document(row), "ends": _time(ends.get(row.id, FOREVER)), "replaced": row.id not in ends}
        for row in rows
        if (with_replaced or row.id in ends) and (model is None or row.key.model.lower() == model.lower())
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
    from billing.seeding import seed_prices

    from_hour = None if since is None else _hour_option(since)

    def work(connection: Connection) -> Outcome[tuple[Seed, PriceChanges]]:
        seed, changes = seed_prices(connection, ctx.actor, from_hour=from_hour)
        return Outcome((seed, changes), bool(changes.new_rows), _changes_sentence(changes, seed.source))

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    seed, changes = outcome.result
    document = {"source": seed.source, **_changes_document(changes), "not_carried": list(seed.not_carried)}
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
    from billing.price_file import read_prices
    from billing.store import add_prices, read_book, sha256_of

    raw = file.read_bytes()
    with refusals():
        rows = read_prices(raw, file.name)

    def work(connection: Connection) -> Outcome[tuple[PriceChanges, Impact | None]]:
        before = read_book(connection)
        changes = add_prices(connection, rows, "contract", name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        impact = _impact(connection, ctx.policy.zone, before) if changes.new_rows else None
        details = [*_diff_lines(changes), *(impact.sentences() if impact else ())]
        sentence = _changes_sentence(changes, file.name)
        return Outcome((changes, impact), bool(changes.new_rows), sentence, tuple(details))

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    changes, impact = outcome.result
    document = {
        "source": file.name,
        **_changes_document(changes),
        "rows": list(_row_changes(changes)),
        "impact": None if impact is None else impact.document(),
    }
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@price.command("check")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def price_check(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """Gaps and overlaps in the book, agreed prices far from the list, and use without a price (exit 6)."""
    from billing.price_check import Finding, book_findings, unpriced_use
    from billing.rating import rate
    from billing.store import read_book, read_fx, read_price_rows, read_rules, snapshot
    from billing.sums import first_and_last_hour, read_sums
    from billing.terms.store import read_term_book

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        findings = book_findings(
            read_price_rows(connection), read_rules(connection), read_fx(connection), read_term_book(connection)
        )
        unpriced: list[Finding] = []
        if span := first_and_last_hour(connection):
            book = read_book(connection)
            cuts = sorted(book.cuts(span[0], span[1] + 1))
            unpriced = unpriced_use(rate(read_sums(connection, span[0], span[1] + 1, cuts, ()), book))
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
    from billing.fx import doubtful_rates, read_fx
    from billing.store import add_fx, read_fx_rows, sha256_of

    raw = file.read_bytes()
    with refusals():
        rows = read_fx(raw, file.name)

    def work(connection: Connection) -> Outcome[tuple[int, int, list[str]]]:
        doubtful = doubtful_rates(read_fx_rows(connection), rows)
        added, changed = (
            len(found) for found in add_fx(connection, rows, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        )
        sentence = f"{file.name}: {added} rates added, {changed} changed, {len(rows) - added - changed} as they were"
        return Outcome((added, changed, doubtful), bool(added or changed), sentence, tuple(doubtful))

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    added, changed, doubtful = outcome.result
    unchanged = len(rows) - added - changed
    document = {
        "source": file.name, "added": added, "changed": changed, "unchanged": unchanged, "doubtful": doubtful,
    }  # fmt: skip
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@fx.command("list")
@click.option("--base", help="Rates of one currency only.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def fx_list(ctx: Context, base: str | None, as_json: bool, as_csv: bool) -> None:
    """The rates that count, by day."""
    from billing.store import read_fx_rows, snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        counting: dict[tuple[Any, ...], FxRow] = {
            (row.date, row.base, row.quote): row for row in read_fx_rows(connection) if base in (None, row.base)
        }
    documents = [_fx_document(counting[key]) for key in sorted(counting)]
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


def _changes_document(changes: PriceChanges) -> dict[str, Any]:
    return {
        "added": len(changes.added),
        "changed": len(changes.changed),
        "ended": len(changes.ended),
        "unchanged": changes.unchanged,
        "prompt_thresholds": [str(tokens) for tokens in changes.thresholds],
    }


def _changes_sentence(changes: PriceChanges, source: str) -> str:
    return (
        f"{source}: {len(changes.added)} prices added, {len(changes.changed)} replaced, {len(changes.ended)} ended "
        f"by a later one, {changes.unchanged} as they were"
    )


def _impact(connection: Connection, zone: str, before: PriceBook) -> Impact | None:
    """What the rows just added touch of the month before the newest usage; None where nothing was ever used."""
    from billing.periods import month_in, month_of_hour
    from billing.price_impact import impact_of
    from billing.rating import rate_month
    from billing.store import read_book
    from billing.sums import first_and_last_hour, read_sums

    span = first_and_last_hour(connection)
    if span is None:
        return None
    newest = month_in(month_of_hour(span[1], zone), zone)
    month = month_in(month_of_hour(newest.first_hour - 1, zone), zone)
    cuts = sorted(before.cuts(month.first_hour, month.end_hour))
    rated = rate_month(read_sums(connection, month.first_hour, month.end_hour, cuts, ()), before)
    after = read_book(connection)
    known = {term.row.id for term in before.terms}
    new_rows = [term.row for term in after.terms if term.row.id not in known]
    return impact_of(month.name, rated, after, new_rows)


def _row_changes(changes: PriceChanges) -> Iterator[dict[str, Any]]:
    """Every row of the diff, for programs."""
    for change, before, row in (
        *(("added", None, row) for row in changes.added),
        *(("changed", before, row) for before, row in changes.changed),
        *(("ended", row, row) for row in changes.ended),
    ):
        document = _price_document(row)
        if not row.id:
            del document["price_id"]
        yield {"change": change, "before": None if before is None else before.code, **document}


def _diff_lines(changes: PriceChanges) -> Iterator[str]:
    """What a person should see before saying yes."""
    from billing.money import plain
    from billing.periods import hour_start

    signed: list[tuple[str, PriceRow | None, PriceRow]] = [
        *(("~", before, row) for before, row in changes.changed),
        *(("+", None, row) for row in changes.added),
        *(("-", None, row) for row in changes.ended),
    ]
    for sign, before, row in signed[:DIFF_LINES_MAX]:
        what = f"{row.key.provider}/{row.key.model} {row.key.unit} from {hour_start(row.from_hour):{HOUR_FORMAT}}"
        was = "" if before is None else f"{plain(before.price)} -> "
        ends = f" ({row.code} ends where a new row begins)" if sign == "-" else ""
        yield f"  {sign} {what}: {was}{plain(row.price)} {row.currency} per {row.per}{ends}"
    if len(signed) > DIFF_LINES_MAX:
        yield f"  and {len(signed) - DIFF_LINES_MAX} more"


def _time(hour: int | None) -> datetime | None:
    from billing.periods import hour_start
    from billing.prices import FOREVER

    return None if hour in (None, FOREVER) else hour_start(hour)


def _price_document(row: PriceRow) -> dict[str, Any]:
    from billing.money import plain

    return {
        "price_id": row.code, "origin": row.origin, **row.key._asdict(), "prompt_above": str(row.key.prompt_above),
        "currency": row.currency, "price": plain(row.price), "per": str(row.per), "valid_from": _time(row.from_hour),
        "valid_to": _time(row.to_hour), "source": row.source,
    }  # fmt: skip


def _fx_document(row: FxRow) -> dict[str, Any]:
    from billing.money import plain

    return {"date": row.date, "base": row.base, "quote": row.quote, "rate": plain(row.rate), "source": row.source}
