"""`jangbu quota`: limits on use, what counts against them now, and when they are whole again."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.importing import file_import_options, import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from jangbu.context import Context

LIST_COLUMNS = (
    "quota", "scope", "subject", "model", "unit", "limit", "window", "thresholds", "notify", "mode",
    "valid_from", "valid_to",
)  # fmt: skip
STATUS_COLUMNS = (
    "scope", "subject", "model", "unit", "window", "resets_at", "used", "limit", "remaining", "percent", "state",
    "unknown_quantity",
)  # fmt: skip


class Instant(click.ParamType):
    """An instant with its offset, RFC 3339."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in UTC."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            remedy = "write it with its offset, such as 2026-10-03T09:00:00+09:00"
            self.fail(f"{value!r} is no instant: {remedy}", param, ctx)
        return moment.astimezone(UTC)


@click.group()
def quota() -> None:
    """Quotas of the organisation, departments, programmes and users: import, carry, list, status."""


@quota.command("import")
@file_import_options
@click.pass_obj
def quota_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add quotas from a CSV file; a later row replaces an earlier one of the same quota and dates."""
    from jangbu.register_imports import import_quotas

    raw = file.read_bytes()
    outcome = write(
        ctx, lambda connection: import_quotas(connection, raw, file.name, ctx.actor), dry_run=dry_run, yes=yes
    )
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@quota.command("carry")
@click.option("--window", "kind", required=True, type=click.Choice(["hour", "day", "week", "month", "year"]))
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="Into the window of an instant (default: now).")
@click.option("--most", "most_percent", default=100, show_default=True, type=click.IntRange(1, 1000),
              help="Percent of a quota's limit that is carried at most.")  # fmt: skip
@import_options
@click.pass_obj
def quota_carry(
    ctx: Context, kind: Any, moment: datetime | None, most_percent: int, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Add what the window before left unused to the limits of this one, as rows that end with it; once a window."""
    from jangbu.register_imports import carry_quotas

    at, most = moment or datetime.now(UTC), Decimal(most_percent)
    outcome = write(
        ctx,
        lambda connection: carry_quotas(connection, kind, at, most, ctx.policy.zone, ctx.actor),
        dry_run=dry_run,
        yes=yes,
    )
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@quota.command("list")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="In force at an instant (default: now).")
@click.option("--all", "everything", is_flag=True, help="Also rows that were replaced, ended or withdrawn.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def quota_list(ctx: Context, moment: datetime | None, everything: bool, as_json: bool, as_csv: bool) -> None:
    """The quotas in force, by scope and subject."""
    from billing.quotas.documents import quota_document, shown_subject
    from billing.quotas.quota import in_force
    from billing.quotas.register import held_quotas

    with ctx.engine("reader") as engine, engine.connect() as connection:
        held = held_quotas(connection)
    documents = [quota_document(row) for row in (held if everything else in_force(held, moment or datetime.now(UTC)))]
    documents = [shown_subject(ctx.people, one) for one in documents]
    if as_json:
        print_json({"quotas": documents})
        return
    rows = [[_cell(one[column]) for column in LIST_COLUMNS] for one in documents]
    print_rows(LIST_COLUMNS, rows, as_csv=as_csv, right=("limit",))


@quota.command("status")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="As of an instant (default: now).")
@click.option("--user", help="Only a user's quotas.")
@click.option("--department", help="Only a department's quotas.")
@click.option("--programme", help="Only a programme's quotas.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def quota_status(
    ctx: Context,
    moment: datetime | None,
    user: str | None,
    department: str | None,
    programme: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """What counts against each quota in its window, what is left, and when it is whole again."""
    from billing.quotas.documents import shown_subject
    from billing.quotas.looking import read_prices
    from billing.quotas.register import held_quotas
    from billing.quotas.states import states_at
    from billing.store import snapshot

    moment = moment or datetime.now(UTC)
    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        states = states_at(connection, held_quotas(connection), read_prices(connection, ctx.policy.zone), moment)
    asked = {"user": user, "department": department, "programme": programme}
    if any(subject is not None for subject in asked.values()):
        states = [one for one in states if asked.get(one.quota.key.scope) == one.subject]
    documents = [shown_subject(ctx.people, one.document()) for one in states]
    if as_json:
        print_json({"at": moment, "timezone": ctx.policy.zone, "quotas": documents})
        return
    rows = [[_cell(one[column]) for column in STATUS_COLUMNS] for one in documents]
    print_rows(
        STATUS_COLUMNS, rows, as_csv=as_csv, right=("used", "limit", "remaining", "percent", "unknown_quantity")
    )


def _cell(value: object) -> object:
    return ";".join(str(one) for one in value) if isinstance(value, list) else value
