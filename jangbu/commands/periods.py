"""`jangbu period`: which months are open, what stands between one and its close, and closing it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import UsageError
from jangbu.importing import ExistingFile, refusals
from jangbu.output import print_json, print_rows, safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.ledger.checklist import Check
    from billing.ledger.close import Draft
    from billing.ledger.closes import CutOff
    from jangbu.context import Context

LIST_COLUMNS = ("month", "state", "ended", "total", "closed_at", "content_hash")
CHECK_COLUMNS = ("name", "state", "sentence", "remedy")
UNATTRIBUTED = "unattributed"
ENTRY_COLUMNS = ("entry", "reason", "origin", "account", "department", "what", "amount", "amount_exact", "description")


@click.group()
def period() -> None:
    """Months of the books: status, close."""


@period.command("status")
@click.argument("month", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def period_status(ctx: Context, month: str | None, as_json: bool, as_csv: bool) -> None:
    """The months and their states; with MONTH what stands between it and its close."""
    if month is None:
        months = _months(ctx)
        if as_json:
            print_json({"periods": months})
        else:
            rows = [[one[name] for name in LIST_COLUMNS] for one in months]
            print_rows(LIST_COLUMNS, rows, as_csv=as_csv, right=("total",))
        return
    document = _status(ctx, month)
    if as_json:
        print_json(document)
        return
    if not as_csv:
        click.echo(f"{month} is {document['state']}" + (f" since {_time(document)}" if "closed_at" in document else ""))
    if "closed_at" in document:
        print_rows(("fact", "value"), _close_rows(document), as_csv=as_csv)
        return
    rows = [[check[name] for name in CHECK_COLUMNS] for check in document["checklist"]]
    if rows:
        print_rows(CHECK_COLUMNS, rows, as_csv=as_csv)


def _close_rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Who closed a month, what of, and the hashes to keep elsewhere, whole."""
    reached = (f"partition {one['partition']} below {one['next_offset']}" for one in document["cut_offs"]
               if one["next_offset"])  # fmt: skip
    return [
        ("closed by", document["actor"]),
        ("accepted", ", ".join(document["accepted"]) or "nothing"),
        ("content hash", f"sha256 {document['content_hash']}"),
        ("chain hash", f"sha256 {document['chain_hash']}"),
        ("events read", ", ".join(reached) or "none"),
    ]


@period.command("close")
@click.argument("month")
@click.option("--confirm", metavar="MONTH", help="Name the month again: close it. Without it nothing is written.")
@click.option("--dry-run", is_flag=True, help="Show every entry and statement that would be booked; write nothing.")
@click.option("--accept", metavar="NAME", multiple=True, help="Close although this blocks; may be given again.")
@click.option("--from-events", is_flag=True, help="Compute from sums that are rebuilt from the events.")
@click.option(
    "--cut-offs", type=ExistingFile(), metavar="FILE",
    help="Replay: events below these offsets only, as `period status MONTH --json` of the close prints them.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def period_close(
    ctx: Context, month: str, confirm: str | None, dry_run: bool, accept: tuple[str, ...], from_events: bool,
    cut_offs: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Close MONTH for good: without --confirm, show what stands against it and what it would book."""
    from billing.ledger.checklist import blockers
    from billing.ledger.close import close_month, parse_accepted, preview
    from billing.periods import month_in
    from jangbu.period_checks import check_outside

    with refusals():
        month_in(month, ctx.policy.zone)
        accepted = parse_accepted(accept)
        until = None if cut_offs is None else _read_cut_offs(cut_offs)
    if confirm is not None and confirm != month:
        raise UsageError(f"--confirm names {confirm!r}, the month to be closed is {month!r}: name the same twice")
    writes = confirm is not None and not dry_run
    now = datetime.now(UTC)
    with refusals(), ctx.engine("billing") as engine:
        outside = check_outside(ctx.settings)
        if writes:
            draft = close_month(engine, month, ctx.policy, now=now, actor=ctx.actor, accept=accepted, outside=outside,
                                from_events=from_events, until=until)  # fmt: skip
        else:
            draft = preview(engine, month, ctx.policy, now=now, outside=outside, from_events=from_events, until=until)
    left = [] if writes else blockers(draft.checks, accepted)
    if as_json:
        state = {"dry_run": not writes, "closed": writes, "blockers": [check.name for check in left]}
        print_json({**draft.document(), **state, "accepted": list(accepted)})
        return
    _print_draft(draft, left, accepted, writes=writes, with_entries=dry_run)


def _print_draft(
    draft: Draft, left: Sequence[Check], accepted: Sequence[str], *, writes: bool, with_entries: bool
) -> None:
    """The checklist, the statements' totals, on request every entry, and what it comes to."""
    month, currency = draft.computed.month.name, draft.computed.policy.currency
    print_rows(CHECK_COLUMNS, [_check_row(check, accepted) for check in draft.checks])
    columns = ("department", "department_name", "total", "content_hash")
    totals = [[one["department"] or UNATTRIBUTED, *(one[name] for name in columns[1:])] for one in draft.documents]
    print_rows(columns, totals, right=("total",))
    if with_entries:
        rows = [
            [entry.id[:12], entry.reason, entry.origin_month, line["account"], _whose(line), _what(line),
             line["amount"], line["amount_exact"], entry.description]
            for entry in draft.entries
            for line in entry.line_documents
        ]  # fmt: skip
        print_rows(ENTRY_COLUMNS, rows, right=("amount", "amount_exact"))
    total = f"{draft.organisation['total']} {currency} in {len(draft.documents)} statements"
    if writes:
        click.echo(f"{month} is closed: {total}, {len(draft.entries)} entries, content hash "
                   f"{draft.organisation['content_hash']}")  # fmt: skip
        return
    click.echo(f"{month} would be closed with {total}, {len(draft.entries)} entries; nothing was written")
    if left:
        click.echo(f"it cannot be closed yet: {', '.join(check.name for check in left)}")
    else:
        click.echo(f"to close it: jangbu period close {month} --confirm {month}")


def _check_row(check: Check, accepted: Sequence[str]) -> list[str]:
    """A line of the checklist; what blocks and was named by --accept says so."""
    row = [str(getattr(check, name)) for name in CHECK_COLUMNS]
    if check.state == "block" and check.name in accepted:
        row[CHECK_COLUMNS.index("state")] = "accepted"
    return row


def _whose(line: dict[str, Any]) -> str:
    """The department of an entry's line; accounts that are nobody's have none."""
    return str(line["department"] or (UNATTRIBUTED if line["account"] == "cost" else ""))


def _what(line: dict[str, Any]) -> str:
    """What an entry's line is about: model and unit of use, or what names a share, a correction or a tax."""
    if line["unit"] is not None:
        return f"{line['model']} {line['unit']}"
    return " ".join(str(part) for part in (line["charge_key"] or ())[1:] if part not in (None, ""))


def _months(ctx: Context) -> list[dict[str, Any]]:
    from billing.store import snapshot
    from jangbu.month_status import read_months

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        return read_months(connection, ctx.policy, datetime.now(UTC))


def _status(ctx: Context, month: str) -> dict[str, Any]:
    from jangbu.month_status import read_status

    with refusals(), ctx.engine("reader") as engine:
        return read_status(engine, month, ctx.policy, ctx.settings, datetime.now(UTC))


def _read_cut_offs(file: Path) -> tuple[CutOff, ...]:
    """The offsets of a close, from the JSON that `period status` or `period close` printed of it."""
    from billing.ledger.closes import as_cut_offs

    try:
        return as_cut_offs(json.loads(file.read_text(encoding="utf-8"))["cut_offs"])
    except (ValueError, KeyError, TypeError) as error:
        sentence = f"{file.name} holds no cut-offs ({error}): save what `jangbu period status MONTH --json` prints"
        raise UsageError(sentence) from error


def _time(document: dict[str, Any]) -> str:
    return safe_text(document["closed_at"])
