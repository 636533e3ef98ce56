"""The demo from begin to end: make a month, send it through the product, bill it, reconcile it, give the figures.

Everything between the files and the figures is done by `jangbu` commands, in the order in which a house would call
them; nothing here knows how.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.periods import month_in
from jangbu.demo import gateway, vendor_bill
from jangbu.demo.city import HOUR_MS, month_calls
from jangbu.demo.figures import (
    Figures,
    Law,
    Stored,
    classes_of,
    counted,
    largest_departments,
    statements_hash,
)
from jangbu.demo.hours import HOURS_AFTER_MONTH, SEOUL
from jangbu.demo.people import Plan, make_city
from jangbu.demo.place import Place, demo_settings, occupied
from jangbu.demo.reading import Reader
from jangbu.demo.reference_files import PRICES, RATES, ROSTER, VENDORS, write_reference_files
from jangbu.demo.running import EXIT_LAW, EXIT_OPEN_BREAKS, Commands
from jangbu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jangbu.demo.city import Call
    from jangbu.demo.messages import Words
    from jangbu.demo.talk import Step, Talk

COSTS = "openai-costs.json"
BACK_DAYS_MAX = 400
"""An event older than this is refused (contract.md, section 1)."""
WAIT_S = "300"


@dataclass(frozen=True)
class Made:
    """What was put in."""

    delivered: gateway.Delivered
    bill: vendor_bill.Bill


class Product(NamedTuple):
    """What runs: the commands, a reader's connection, the broker's address."""

    jangbu: Commands
    reader: Reader
    bootstrap: str


@dataclass
class Documents:
    """What the commands answered."""

    ingests: list[dict[str, Any]]
    statements: dict[str, Any]
    usage: dict[str, Any]
    reconciliation: dict[str, Any]
    audit: dict[str, Any]
    quarantine: dict[str, Any]
    stored: Stored
    path_seconds: float


def check_month(month: str, now: datetime) -> None:
    """Refuse a month whose events would be too far from now. `now` is aware. Raises UsageError."""
    try:
        first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=SEOUL)
    except ValueError:
        raise UsageError(f"--month is {month!r}: write YYYY-MM, such as 2026-10") from None
    if _end(first.date()) > now:
        raise UsageError(f"--month is {month}, which has not ended: name an earlier one, such as {last_month(now)}")
    if first < now - timedelta(days=BACK_DAYS_MAX - 1):
        raise UsageError(f"--month is {month}, more than {BACK_DAYS_MAX} days ago, and older events are refused: "
                         f"name a later one, such as {last_month(now)}")


def last_month(now: datetime) -> str:
    """The last month that has ended, in UTC as in KST."""
    first = now.astimezone(SEOUL).date().replace(day=1)
    while _end(first) > now:
        first = (first - timedelta(days=1)).replace(day=1)
    return first.strftime("%Y-%m")


def run_demo(plan: Plan, place: Place, talk: Talk, words: Words) -> Figures:
    """Empty the place and do it all. Raises JangbuError where a step does not work."""
    began_s = time.monotonic()
    with occupied(place), ExitStack() as stack:
        jangbu = Commands(place)
        started = stack.enter_context(jangbu.up())  # its databases are made while the month is
        with talk.step(words["step_make"]):
            made = make_month(plan, place)
        with talk.step(words["step_up"]):
            endpoints = started()
        assert endpoints.kafka_bootstrap is not None
        with closing(Reader(endpoints.database_url_reader)) as reader:
            documents = _through_the_product(Product(jangbu, reader, endpoints.kafka_bootstrap), plan, place, made,
                                             talk, words)
        with talk.step(words["step_down"]):
            stack.close()
    return _figures(plan, place, made, documents, time.monotonic() - began_s)


def make_month(plan: Plan, place: Place) -> Made:
    """Write all the files of `in/`."""
    city = make_city(plan)
    meter = vendor_bill.VendorMeter(plan.month)
    calls = _through_gateways(meter.watch(month_calls(plan, city)))
    delivered = gateway.hand_over(calls, place.inputs, plan.seed)
    write_reference_files(place.inputs, city, plan.month, plan.seed)
    bill = vendor_bill.make_bill(meter)
    (place.inputs / COSTS).write_bytes(vendor_bill.encode_pages(bill.pages))
    return Made(delivered, bill)


def _through_gateways(calls: Iterable[Call]) -> Iterator[Call]:
    return (call for call in calls if call.via_gateway)


def _through_the_product(product: Product, plan: Plan, place: Place, made: Made, talk: Talk,
                         words: Words) -> Documents:
    jangbu, inputs = product.jangbu, place.inputs
    with talk.step(words["step_reference"]):
        jangbu.json("price", "seed", "--yes")
        for group, file in (("price", PRICES), ("fx", RATES), ("vendor", VENDORS), ("roster", ROSTER)):
            jangbu.json(group, "import", str(inputs / file), "--yes")
    with talk.step(words["step_path"]) as step:
        began_s = time.monotonic()
        ingests = _bring_in(product, plan, place, made, step)
        path_seconds = time.monotonic() - began_s
    with talk.step(words["step_statements"]):
        jangbu.json("audit", codes=(0, EXIT_LAW))  # takes out copies that came with another time
        statements = jangbu.json("statement", "list", plan.month, keep=f"statements-{plan.month}.json")
        largest = largest_departments(statements["statements"])[0].code
        jangbu.json("statement", "show", plan.month, largest, keep=f"statement-{plan.month}-{largest}.json")
        usage = jangbu.json("usage", "--month", plan.month, "--by", "model", keep=f"usage-{plan.month}.json")
    with talk.step(words["step_invoice"]):
        month = ("--vendor", vendor_bill.VENDOR, "--month", plan.month)
        jangbu.json("invoice", "import", str(inputs / COSTS), *month, "--yes")
        reconciliation = jangbu.json("reconcile", *month, codes=(0, EXIT_OPEN_BREAKS, EXIT_LAW),
                                     keep=f"reconciliation-{vendor_bill.VENDOR}-{plan.month}.json")
    with talk.step(words["step_audit"]):
        quarantine = jangbu.json("quarantine", "list", keep="quarantine.json")
        audit = jangbu.json("audit", codes=(0, EXIT_LAW), keep="audit.json")
        stored = product.reader.stored(month_in(plan.month, demo_settings(place).timezone))
    return Documents(ingests, statements, usage, reconciliation, audit, quarantine, stored, path_seconds)


def _bring_in(product: Product, plan: Plan, place: Place, made: Made, step: Step) -> list[dict[str, Any]]:
    """Bring the files in, then wait until all of it is in SQL; events flow meanwhile."""

    def look() -> None:
        step.at(product.reader.records(), made.delivered.lines)

    answers = []
    for handover in gateway.HANDOVERS:
        source = () if handover.source is None else ("--source", handover.source)
        words = ("ingest", str(place.inputs / handover.name), "--format", handover.format, *source)
        answers.append(product.jangbu.json(*words, while_waiting=look))
    _write_foreign(product.bootstrap, plan)
    product.jangbu.json("wait", "--caught-up", "--timeout", WAIT_S, while_waiting=look)
    return answers


def _write_foreign(bootstrap: str, plan: Plan) -> None:
    """Records that somebody writes into the topic past our doors."""
    from kafka import KafkaProducer

    from producers.topic import TOPIC

    within_ms = round(datetime.fromisoformat(f"{plan.month}-10").replace(tzinfo=SEOUL).timestamp() * 1000) + HOUR_MS
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        for key, value in gateway.foreign_records(within_ms):
            producer.send(TOPIC, key=key, value=value).get(timeout=30)
    finally:
        producer.close()


def _figures(plan: Plan, place: Place, made: Made, found: Documents, total_seconds: float) -> Figures:
    statements, reconciliation = found.statements["statements"], found.reconciliation
    unattributed = [Decimal(one["total"]) for one in statements if one["department"] is None]
    unpriced = [row for row in found.usage["rows"] if row.get("unpriced_quantity") not in (None, "0")]
    return Figures(
        plan=plan,
        delivered=made.delivered,
        accepted=sum(answer["accepted"] for answer in found.ingests),
        refused=counted([one["code"] for answer in found.ingests for one in answer["rejections"]]),
        quarantined=counted([one["code"] for one in found.quarantine["quarantine"]]),
        stored=found.stored,
        currency=found.statements["currency"],
        total=Decimal(found.statements["total"]),
        unattributed=sum(unattributed, Decimal(0)),
        unpriced_models=[row["model"] for row in unpriced],
        unpriced_quantity=sum(int(one["unpriced_quantity"]) for one in statements),
        largest=largest_departments(statements),
        statements=len(statements),
        statements_hash=statements_hash(statements),
        vendor=reconciliation["vendor"],
        vendor_currency=reconciliation["currency"],
        ours=Decimal(reconciliation["ours_total"]),
        invoice=Decimal(reconciliation["invoice_total"]),
        proof_difference=Decimal(reconciliation["proof"]["difference"]),
        matched_groups=reconciliation["matched"]["groups"],
        classes=classes_of(reconciliation["breaks"], made.bill.planted),
        laws=[Law(law["law"], law["checked"], len(law["violations"])) for law in found.audit["laws"]],
        path_seconds=found.path_seconds,
        total_seconds=total_seconds,
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        directory=str(place.root),
    )


def _end(first: date) -> datetime:
    """When the demo's month ends that begins on a day: nine hours after the Korean one, with the UTC month."""
    after = (first + timedelta(days=31)).replace(day=1)
    return datetime(after.year, after.month, 1, HOURS_AFTER_MONTH, tzinfo=SEOUL)
