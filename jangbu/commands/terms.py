"""`jangbu price terms`: what the contract says beside prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.importing import Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from billing.terms.file import TermChanges
    from billing.terms.term import ContractTerm
    from jangbu.context import Context

LIST_COLUMNS = (
    "term_id", "name", "kind", "provider", "model", "unit", "origin", "currency", "percent", "amount", "tiers",
    "valid_from", "valid_to", "source",
)  # fmt: skip
STATUS_COLUMNS = ("term_id", "name", "kind", "currency", "amount", "charges", "shortfall", "due", "remaining")
MONTH_COLUMNS = ("month", "opening", "charges", "drawn", "beyond", "remaining")
DIFF_LINES_MAX = 20


@click.group()
def terms() -> None:
    """Discounts, volume tiers, minimum fees and commitments: import, list, status."""


@terms.command("import")
@file_import_options
@click.pass_obj
def terms_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add contract terms from a CSV file. Terms are never overwritten; a later one of a name ends the earlier."""
    from billing.store import sha256_of
    from billing.terms.file import read_terms
    from billing.terms.store import add_terms

    raw = file.read_bytes()
    with refusals():
        rows = read_terms(raw, file.name, ctx.policy.zone)

    def work(connection: Connection) -> Outcome[TermChanges]:
        changes = add_terms(connection, rows, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        sentence = (
            f"{file.name}: {len(changes.added)} terms added, {len(changes.changed)} replaced, {len(changes.ended)} "
            f"ended by a later one, {changes.unchanged} as they were"
        )
        return Outcome(changes, bool(changes.new_terms), sentence, tuple(_diff_lines(changes)))

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    changes = outcome.result
    document = {
        "source": file.name,
        "added": len(changes.added),
        "changed": len(changes.changed),
        "ended": len(changes.ended),
        "unchanged": changes.unchanged,
    }
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@terms.command("list")
@click.option("--all", "with_replaced", is_flag=True, help="Also terms that a later one replaced.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def terms_list(ctx: Context, with_replaced: bool, as_json: bool, as_csv: bool) -> None:
    """The terms with what they are about, their validity, source and id."""
    from billing.store import snapshot
    from billing.terms.store import read_terms_stored
    from billing.terms.term import terms_in_force

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        stored = read_terms_stored(connection)
    ends = {one.term.id: one.end_hour for one in terms_in_force(stored)}
    documents = [
        {**_document(term), "ends": _time(ends.get(term.id)), "replaced": term.id not in ends}
        for term in stored
        if with_replaced or term.id in ends
    ]
    if as_json:
        print_json({"terms": documents})
        return
    rows = [[document[name] for name in LIST_COLUMNS] for document in documents]
    tiers_at = LIST_COLUMNS.index("tiers")
    for row in rows:
        row[tiers_at] = "; ".join(_tier_words(tier) for tier in row[tiers_at])
    print_rows(LIST_COLUMNS, rows, as_csv=as_csv, right=("percent", "amount"))


@terms.command("status")
@click.argument("month")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def terms_status(ctx: Context, month: str, as_json: bool, as_csv: bool) -> None:
    """Minimum fees and commitments at the end of MONTH: charges, shortfall, what of a commitment remains."""
    from billing.periods import month_in
    from billing.store import snapshot
    from billing.terms.pools import read_obligations

    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        when = month_in(month, ctx.policy.zone)
        standing = read_obligations(connection, when)
    documents = [one.document() for one in standing]
    if as_json:
        print_json({"month": when.name, "timezone": when.zone, "obligations": documents})
        return
    print_rows(
        STATUS_COLUMNS,
        ([document[name] for name in STATUS_COLUMNS] for document in documents),
        as_csv=as_csv,
        right=("amount", "charges", "shortfall", "remaining"),
    )
    for document in () if as_csv else documents:
        if document["months"]:
            click.echo(f"{document['name']}, {document['currency']}:")
            print_rows(
                MONTH_COLUMNS,
                ([one[name] for name in MONTH_COLUMNS] for one in document["months"]),
                as_csv=False,
                right=MONTH_COLUMNS[1:],
            )


def _diff_lines(changes: TermChanges) -> Iterator[str]:
    """What a person should see before saying yes."""
    signed = [
        *(("~", new) for _, new in changes.changed),
        *(("+", term) for term in changes.added),
        *(("-", term) for term in changes.ended),
    ]
    for sign, term in signed[:DIFF_LINES_MAX]:
        yield f"  {sign} {_sentence(term)}"
    if len(signed) > DIFF_LINES_MAX:
        yield f"  and {len(signed) - DIFF_LINES_MAX} more"


def _sentence(term: ContractTerm) -> str:
    document = _document(term)
    if term.percent is not None:
        what = f"{document['percent']} % off"
    elif term.amount is not None:
        what = f"{document['amount']} {term.currency}"
    else:
        what = "; ".join(_tier_words(tier) for tier in document["tiers"])
    about = f"{term.provider}/{term.model} {term.unit or 'all units'}"
    start = document["valid_from"].strftime("%Y-%m-%dT%H:%MZ")
    return f"{term.name} ({term.kind}) from {start}: {what}, {about}"


def _document(term: ContractTerm) -> dict[str, Any]:
    from billing.money import plain

    return {
        "term_id": term.code, "name": term.name, "kind": term.kind, "provider": term.provider, "model": term.model,
        "unit": term.unit, "origin": term.origin, "currency": term.currency,
        "percent": None if term.percent is None else plain(term.percent),
        "amount": None if term.amount is None else plain(term.amount),
        "tiers": [
            {
                "above": str(tier.above),
                "percent": None if tier.percent is None else plain(tier.percent),
                "price": None if tier.price is None else plain(tier.price),
                "per": None if tier.per is None else str(tier.per),
            }
            for tier in sorted(term.tiers, key=lambda tier: tier.above)
        ],
        "valid_from": _time(term.from_hour), "valid_to": _time(term.to_hour), "source": term.source,
    }  # fmt: skip


def _tier_words(tier: dict[str, str | None]) -> str:
    what = f"{tier['percent']} % off" if tier["percent"] is not None else f"{tier['price']} per {tier['per']}"
    return f"above {tier['above']}: {what}"


def _time(hour: int | None) -> Any:
    from billing.periods import hour_start
    from billing.prices import FOREVER

    return None if hour in (None, FOREVER) else hour_start(hour)
