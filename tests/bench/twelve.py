"""An ordinary month of twelve vendors: their files imported and each reconciled, as the commands do it.

Months, prices and use are those of `make seed-faults`, faults included, for twelve shapes of file under twelve vendors.
Modules are loaded before the clock starts; every import and every reconciliation counts, each in a transaction of its
own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tests.integration.test_seeded_months import PRICES, SAMPLE, decimal, put
from tests.seeded.catalogue import SHAPES
from tests.seeded.seeding import seeded_month

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls
    from tests.seeded.months import SeededMonth

SEED = 12
AIM_S = 5.0
VENDORS = {**SAMPLE, "focus": "together", "focus, rows in cents": "city-ai"}
"""Shape of the files, and the vendor and provider; twelve of them."""
CHECKOUT = Path(__file__).resolve().parents[2]


def months() -> dict[str, SeededMonth]:
    """A month of each vendor, by the vendor's name."""
    places = {shape.name: place for place, shape in enumerate(SHAPES)}
    return {vendor: seeded_month(SEED, places[name]) for name, vendor in VENDORS.items()}


def prepare(urls: DatabaseUrls, directory: Path) -> Path:
    """Vendors, prices, rates and use in the database; the files to import and what they are, in a directory."""
    register, prices, rates = ["vendor,providers,zone,currency,settle_days"], [PRICES], ["date,base,quote,rate,source"]
    plan = []
    for vendor, month in months().items():
        shape = month.shape
        register.append(f"{vendor},{vendor},{shape.zone},{shape.currency},0")
        currency = "USD" if month.rates or shape.currency == "USD" else "KRW"
        prices += [f"{vendor},{model},{unit},,,,{currency},{decimal(price)},1000000,2026-01-01T00:00:00Z,,letter"
                   for (model, unit), price in month.prices.items()]  # fmt: skip
        rates += [f"{day},USD,KRW,{Decimal(rate) / 100:f},bank" for day, rate in month.rates.items()]
        with psycopg.connect(urls.owner) as connection:
            put(connection, vendor, month)
        for name, text in shape.write(month):
            (directory / f"{vendor}-{name}").write_text(text, encoding="utf-8")
        files = [f"{vendor}-{name}" for name, _ in shape.write(month)]
        plan.append({"vendor": vendor, "month": f"{month.first:%Y-%m}", "files": files, "rows": len(month.rows)})
    roles = {f"JANGBU_DATABASE_URL_{role.upper()}": url for role, url in urls.as_dict().items() if role != "owner"}
    environment = {**os.environ, **roles, "JANGBU_DATABASE_URL": urls.owner, "JANGBU_DATA_DIR": str(directory / "data")}
    for words, rows in (("vendor", register), ("price", prices), ("fx", rates)):
        file = directory / f"{words}.csv"
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "jangbu", words, "import", str(file), "--yes"]
        subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, check=True)
    (directory / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return directory


def ours(url: str, directory: Path) -> dict[str, Any]:
    """Import and reconcile all of them."""
    from datetime import UTC, datetime

    from sqlalchemy import create_engine

    from billing.invoices.source import SourceFile
    from billing.invoices.store import Delivery, import_files
    from billing.invoices.vendor_store import read_register
    from billing.invoices.vendors import vendor_for
    from billing.reconciliation.month import reconcile_month
    from billing.store import snapshot

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    plan = json.loads((directory / "plan.json").read_text(encoding="utf-8"))
    breaks, slowest = 0, {"s": 0.0, "vendor": ""}
    began_s = time.monotonic()
    for one in plan:
        at_s = time.monotonic()
        with engine.begin() as connection:
            vendor = vendor_for(read_register(connection), one["vendor"], one["month"])
            files = [SourceFile(name, (directory / name).read_bytes()) for name in one["files"]]
            import_files(connection, files, Delivery(vendor, None, "bench"))
        with snapshot(engine) as connection:
            found = reconcile_month(connection, one["vendor"], one["month"], datetime(2027, 12, 1, tzinfo=UTC))
        if any(document.proof.difference for document in found.documents):
            raise SystemExit(f"the proof of {one['vendor']} is not 0")
        breaks += sum(len(document.breaks) for document in found.documents)
        slowest = max(slowest, {"s": time.monotonic() - at_s, "vendor": one["vendor"]}, key=lambda each: each["s"])
    whole = time.monotonic() - began_s
    return {"s": whole, "breaks": breaks, "rows": sum(one["rows"] for one in plan), "slowest": slowest["vendor"]}
