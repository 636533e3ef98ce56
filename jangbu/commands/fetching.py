"""`jangbu invoice fetch`: a vendor's month from the vendor's API, into the import that files go through."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.invoices import echo, import_sentences, imported_document, invoice, refusals, write
from jangbu.errors import NotFoundError, SettingsError, UsageError
from jangbu.importing import import_state
from jangbu.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from billing.invoices.fetching.apis import VendorApi
    from billing.invoices.fetching.asking import Plan
    from billing.invoices.fetching.month import FetchedFile
    from billing.invoices.imported import Imported
    from billing.invoices.vendors import Vendor
    from jangbu.context import Context

__all__ = ["invoice"]


@dataclass(frozen=True)
class Asked:
    """What the vendor's API answered for the month."""

    plan: Plan
    files: list[FetchedFile]
    requests: int
    retries: int


@dataclass(frozen=True)
class Outcome:
    """What became of it. `unchanged`: files that say what an import says already, with that import.

    `empty`: answers about use without a row, which say nothing that the costs do not say.
    """

    imported: list[Imported]
    unchanged: list[tuple[FetchedFile, int]]
    empty: list[FetchedFile]


@invoice.command("fetch")
@click.option("--vendor", "vendor_name", required=True, help="Who bills, as the register names it.")
@click.option("--month", "month_name", required=True, metavar="YYYY-MM", help="The vendor's month, in its zone.")
@click.option("--replace", is_flag=True, help="Let a file that was superseded since count again.")
@click.option("--dry-run", is_flag=True, help="Ask the vendor and show what would be imported; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def invoice_fetch(
    ctx: Context, vendor_name: str, month_name: str, replace: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Fetch a vendor's month from its API and import it, all of it or nothing."""
    from billing.invoices.store import Delivery

    api = _api(vendor_name)
    terms = _terms(ctx, vendor_name, month_name)
    asked = _ask(ctx, api, terms, month_name)
    delivery = Delivery(terms, terms.month(month_name), ctx.actor, replace)

    def work(connection: Connection) -> Outcome:
        return _bring(connection, asked, delivery)

    outcome = write(ctx, work, _sentences, dry_run=dry_run, yes=yes)
    if as_json:
        print_json(_document(vendor_name, asked, outcome, written=not dry_run))
    else:
        echo(_sentences(outcome), dry_run)
        for note in _notes(asked):
            click.echo(note, err=True)


def _api(vendor: str) -> VendorApi:
    from billing.invoices.fetching.apis import APIS, api_of

    api = api_of(vendor)
    if api is None:
        known = ", ".join(api.names[0] for api in APIS)
        raise UsageError(
            f"there is no API to fetch vendor {vendor!r} from; known are {known}; bring its files to "
            "`jangbu invoice import`"
        )
    return api


def _terms(ctx: Context, vendor: str, month: str) -> Vendor:
    from billing.invoices.vendor_store import read_register
    from billing.invoices.vendors import vendor_for
    from billing.store import snapshot

    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        return vendor_for(read_register(connection), vendor, month)


def _ask(ctx: Context, api: VendorApi, terms: Vendor, month: str) -> Asked:
    """Everything the API has of the month; no database is open meanwhile."""
    from billing.invoices.fetching import errors
    from billing.invoices.fetching.asking import plan_month
    from billing.invoices.fetching.month import fetch_month
    from billing.invoices.fetching.transport import VendorClient, Waiting
    from billing.invoices.recognise import IMPORTERS
    from jangbu.settings_vendors import access_of

    waiting = Waiting()
    if sys.stderr.isatty():
        waiting.sleep_s = partial(_say_wait, waiting.sleep_s)
    with refusals():
        try:
            readable = {importer.format for importer in IMPORTERS}
            plan = plan_month(api, terms.month(month), waiting.now(), readable, ctx.settings.xai_team)
            access = access_of(ctx.settings, ctx.settings.origins, api)
            with VendorClient(api, access, waiting) as client:
                files = fetch_month(api, plan, client)
                return Asked(plan, files, client.requests, client.retries)
        except (errors.KeyRefused, errors.VendorAway) as error:
            raise SettingsError(str(error)) from None
        except errors.NothingToFetch as error:
            raise NotFoundError(str(error)) from None


def _say_wait(sleep_s: Callable[[int], None], seconds: int) -> None:
    click.echo(f"the vendor is busy or away: asking again in {seconds} s", err=True)
    sleep_s(seconds)


def _bring(connection: Connection, asked: Asked, delivery: Any) -> Outcome:
    """Import what is new, in the caller's transaction."""
    from billing.invoices.fetching.known import known_as, wait_for_other_imports
    from billing.invoices.lines import FileKind
    from billing.invoices.recognise import importer_of
    from billing.invoices.store import import_files

    wait_for_other_imports(connection)
    vendor = delivery.vendor.vendor
    empty = [
        file for file in asked.files if not file.has_rows and importer_of(file.format).kind is FileKind.USAGE
    ]  # fmt: skip
    known = [
        (file, known_as(connection, vendor, file, asked.plan.month)) for file in asked.files if file not in empty
    ]  # fmt: skip
    new = [file.source for file, import_id in known if import_id is None]
    imported = import_files(connection, new, delivery) if new else []
    unchanged = [(file, import_id) for file, import_id in known if import_id is not None]
    return Outcome(imported, unchanged, empty)


def _sentences(outcome: Outcome) -> list[str]:
    same = [
        f"{file.source.name}: nothing new, import {import_id} says the same" for file, import_id in outcome.unchanged
    ]
    bare = [f"{file.source.name}: no use at all in these days; not imported" for file in outcome.empty]
    return import_sentences(outcome.imported) + same + bare


def _notes(asked: Asked) -> list[str]:
    """What a person should know beside what went in."""
    notes = list(asked.plan.notes)
    if asked.plan.is_provisional:
        days = asked.plan.days
        notes.append(
            f"{asked.plan.month.name} still runs: fetched are the days until {days[-1]}, provisionally; fetch again "
            "after it has ended"
        )
    notes += [
        f"{file.surface}: asked for, and no page speaks about {len(file.days_unanswered)} days, the first "
        f"{file.days_unanswered[0]}" for file in asked.files if file.days_unanswered
    ]  # fmt: skip
    return notes


def _document(vendor: str, asked: Asked, outcome: Outcome, *, written: bool) -> dict[str, Any]:
    return {
        "vendor": vendor,
        "month": asked.plan.month.name,
        "first_day": asked.plan.days[0],
        "last_day": asked.plan.days[-1],
        "provisional": asked.plan.is_provisional,
        "fetched_at": datetime.now(UTC),
        "requests": asked.requests,
        "retries": asked.retries,
        "files": [
            {
                "file": file.source.name,
                "surface": file.surface,
                "format": file.format,
                "pages": file.pages,
                "bytes": len(file.source.content),
                "sha256": file.source.sha256,
                "days_unanswered": list(file.days_unanswered),
            }
            for file in asked.files
        ],
        "imports": [imported_document(one) for one in outcome.imported],
        "unchanged": [{"file": file.source.name, "import_id": import_id} for file, import_id in outcome.unchanged],
        "empty": [file.source.name for file in outcome.empty],
        "notes": _notes(asked),
        **import_state(dry_run=not written),
    }
