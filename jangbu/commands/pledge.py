"""`jangbu pledge`: who signed which version of the pledge when, and who has to sign."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.importing import Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.pledges.pledge import PledgeState, Signature
    from jangbu.context import Context

COLUMNS = ("user", "department", "state", "version", "signed_on", "ends_on")


class Day(click.ParamType):
    """A day, YYYY-MM-DD."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day."""
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day: write it as YYYY-MM-DD", param, ctx)


@click.group()
def pledge() -> None:
    """The pledge: import signatures, list who has to sign."""


@pledge.command("import")
@file_import_options
@click.pass_obj
def pledge_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add signatures from a CSV file; what is known already is left as it is."""
    from billing.plans.registers import lock_registers
    from billing.pledges.pledge import new_rows, read_signatures
    from billing.pledges.register import held_signatures, write_signatures
    from billing.store import sha256_of

    raw = file.read_bytes()
    with refusals():
        rows = read_signatures(raw, file.name, _today(ctx))

    def work(connection: Connection) -> Outcome[tuple[list[Signature], int]]:
        lock_registers(connection)
        added, known = new_rows(held_signatures(connection), rows)
        write_signatures(connection, added, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        sentence = f"{file.name}: {len(added)} signatures added, {known} known already"
        return Outcome((added, known), bool(added), sentence)

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    added, known = outcome.result
    document = {"source": file.name, "added": len(added), "unchanged": known}
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@pledge.command("list")
@click.option("--at", "day", type=Day(), metavar="DAY", help="On a day of the organisation's zone (default: today).")
@click.option("--state", metavar="STATE[,...]", help="Only some: signed, expiring, expired, outdated, unsigned.")
@click.option("--department", help="Only a department's people.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def pledge_list(
    ctx: Context, day: date | None, state: str | None, department: str | None, as_json: bool, as_csv: bool
) -> None:
    """Everybody whom the roster knows, with the signature that decides."""
    from billing.periods import load_zone
    from billing.pledges.pledge import STATES, PledgeRules, state_of
    from billing.pledges.register import members, signatures_by_user
    from billing.store import snapshot

    wanted = {word.strip() for word in state.split(",")} if state else set(STATES)
    if unknown := wanted - set(STATES):
        raise click.BadParameter(f"{min(unknown)!r} is no state: use {', '.join(STATES)}", param_hint="--state")
    rules = PledgeRules(ctx.settings.pledge_version, ctx.settings.pledge_valid_days)
    day = day or _today(ctx)
    moment = datetime.combine(day, time(12), load_zone(ctx.settings.timezone)).astimezone(UTC)
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        people = members(connection, moment)
        signed = signatures_by_user(connection)
    states = [
        (state_of(user, signed.get(user, ()), rules, day), code)
        for user, code in sorted(people.items())
        if department in (None, code)
    ]
    documents = [_document(one, code, ctx) for one, code in states if one.state in wanted]
    if as_json:
        counts = {name: sum(1 for one, _ in states if one.state == name) for name in STATES}
        print_json({"day": day, "version": rules.version, "counts": counts, "people": documents})
        return
    print_rows(COLUMNS, [[one[column] for column in COLUMNS] for one in documents], as_csv=as_csv)


def _document(one: PledgeState, department: str, ctx: Context) -> dict[str, Any]:
    return {
        "user": one.user if ctx.people is None else ctx.people.of("user", one.user),
        "department": department,
        "state": one.state,
        "version": None if one.signature is None else one.signature.version or None,
        "signed_on": None if one.signature is None else one.signature.signed_on,
        "ends_on": one.ends_on,
    }


def _today(ctx: Context) -> date:
    from billing.periods import load_zone

    return datetime.now(load_zone(ctx.settings.timezone)).date()
