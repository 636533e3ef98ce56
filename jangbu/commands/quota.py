"""`jangbu quota`: limits on use, what counts against them now, and when they are whole again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.importing import Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.pseudonyms import Pseudonyms
    from billing.quotas.quota import Quota, QuotaChanges
    from jangbu.context import Context

DIFF_LINES_MAX = 20
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
    """Quotas of the organisation, departments and users: import, list, status."""


@quota.command("import")
@file_import_options
@click.pass_obj
def quota_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add quotas from a CSV file; a later row replaces an earlier one of the same quota and dates."""
    from billing.plans.registers import lock_registers, unknown_departments
    from billing.quotas.quota import changes, read_quotas
    from billing.quotas.register import held_quotas, write_quotas
    from billing.store import sha256_of

    raw = file.read_bytes()
    with refusals():
        rows = read_quotas(raw, file.name)

    def work(connection: Connection) -> Outcome[tuple[QuotaChanges, list[str]]]:
        lock_registers(connection)
        found = changes(held_quotas(connection), rows)
        write_quotas(connection, found.new_rows, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        named = {row.key.subject for row in found.new_rows if row.key.scope == "department"} - {"*"}
        unknown = unknown_departments(connection, sorted(named))
        sentence = (
            f"{file.name}: {len(found.added)} quotas added, {len(found.changed)} changed, "
            f"{found.unchanged} as they were"
        )
        warned = [f"nobody knows {code!r} yet: neither departments, roster nor usage name it" for code in unknown]
        return Outcome(
            (found, unknown), bool(found.new_rows), sentence, tuple([*warned, *_difference(found)][:DIFF_LINES_MAX])
        )

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    found, unknown = outcome.result
    document = {
        "source": file.name,
        "added": len(found.added),
        "changed": len(found.changed),
        "unchanged": found.unchanged,
        "changes": [{**_document(after), "before": _document(before)} for before, after in found.changed],
        "unknown_departments": unknown,
    }
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@quota.command("list")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="In force at an instant (default: now).")
@click.option("--all", "everything", is_flag=True, help="Also rows that were replaced, ended or withdrawn.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def quota_list(ctx: Context, moment: datetime | None, everything: bool, as_json: bool, as_csv: bool) -> None:
    """The quotas in force, by scope and subject."""
    from billing.quotas.quota import in_force
    from billing.quotas.register import held_quotas

    with ctx.engine("reader") as engine, engine.connect() as connection:
        held = held_quotas(connection)
    documents = [_document(row) for row in (held if everything else in_force(held, moment or datetime.now(UTC)))]
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
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def quota_status(
    ctx: Context, moment: datetime | None, user: str | None, department: str | None, as_json: bool, as_csv: bool
) -> None:
    """What counts against each quota in its window, what is left, and when it is whole again."""
    from billing.quotas.looking import read_prices
    from billing.quotas.register import held_quotas
    from billing.quotas.states import states_at
    from billing.store import snapshot

    moment = moment or datetime.now(UTC)
    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        states = states_at(connection, held_quotas(connection), read_prices(connection, ctx.policy.zone), moment)
    asked = {"user": user, "department": department}
    if user is not None or department is not None:
        states = [one for one in states if asked.get(one.quota.key.scope) == one.subject]
    documents = [shown_subject(ctx.people, one.document()) for one in states]
    if as_json:
        print_json({"at": moment, "timezone": ctx.policy.zone, "quotas": documents})
        return
    rows = [[_cell(one[column]) for column in STATUS_COLUMNS] for one in documents]
    print_rows(
        STATUS_COLUMNS, rows, as_csv=as_csv, right=("used", "limit", "remaining", "percent", "unknown_quantity")
    )


def shown_subject(people: Pseudonyms | None, document: dict[str, Any]) -> dict[str, Any]:
    """A document about a quota, with a pseudonym where a user is its subject and the settings ask for one."""
    subject = document["subject"]
    if people is None or document["scope"] != "user" or subject in (None, "*"):
        return document
    return {**document, "subject": people.of("user", subject)}


def _document(row: Quota) -> dict[str, Any]:
    from billing.money import plain

    key = row.key
    return {
        "quota": row.id or None,
        "scope": key.scope,
        "subject": key.subject or None,
        "model": key.model or None,
        "unit": key.unit,
        "limit": None if row.limit is None else plain(row.limit),
        "window": key.window,
        "thresholds": [plain(one) for one in row.thresholds],
        "notify": list(row.notify),
        "mode": row.mode,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
    }


def _difference(found: QuotaChanges) -> list[str]:
    added = [f"+ {_name(row)}: {_limit(row)}" for row in found.added]
    return added + [f"~ {_name(row)}: {_limit(old)} -> {_limit(row)}" for old, row in found.changed]


def _name(row: Quota) -> str:
    key = row.key
    return " ".join(part for part in (key.scope, key.subject, key.model, f"a {key.window}") if part)


def _limit(row: Quota) -> str:
    from billing.money import plain

    return "no limit" if row.limit is None else f"{plain(row.limit)} {row.key.unit}"


def _cell(value: object) -> object:
    return ";".join(str(one) for one in value) if isinstance(value, list) else value
