"""A large bill: AWS's report imported and reconciled, beside DuckDB and pandas that only read and group the same file.

The import reads, checks and stores every line and the raw bytes; the reconciliation reads both again and proves them.
Both run in a process of their own, on the billing login, without prices: every line is a difference, which is the most
that the reconciliation can have to do. The others read four columns, as doubles, and add up by day and usage type.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.report import Figure, Findings
from tests.bench.scale import FULL, Scale
from tests.bench.stage import Disturbed, Stage

FULL_LINES, QUICK_LINES = 1_000_000, 100_000
AIM_S_A_LINE = 30.0 / 1_000_000
AIM_BYTES = 1024**3
CHECKOUT = str(Path(__file__).resolve().parents[2])
HEADER = (
    "bill_billing_period_start_date,bill_billing_period_end_date,line_item_line_item_type,line_item_product_code,"
    "line_item_usage_type,line_item_usage_start_date,line_item_usage_end_date,line_item_usage_amount,pricing_unit,"
    "line_item_unblended_cost,line_item_currency_code,line_item_usage_account_id\n"
)
BILL = "2026-10-01T00:00:00.000Z,2026-11-01T00:00:00.000Z"
WHAT = ("input-tokens", "cache-read-input-token-count", "output-tokens")
E8 = 100_000_000


def measure(stage: Stage, lines: int, say: Callable[[str], None]) -> Findings:
    """The part `invoices`."""
    from tests.bench import twelve  # what it loads is no part of the others' memory

    with tempfile.TemporaryDirectory(prefix="jangbu-bill-") as directory, stage.database() as urls:
        file = Path(directory) / "cur.csv"
        cost = write_bill(file, lines)
        say(f"invoices: a report of {lines} lines, {file.stat().st_size / 1e6:.0f} MB")
        ours = _told("ours", urls.billing, file)
        if ours["invoice"] != str(cost):
            raise Disturbed(f"the bill comes to {ours['invoice']} of 1e-8 dollars and {cost} were written")
        say(f"invoices: imported in {ours['import_s']:.1f} s, reconciled in {ours['reconcile_s']:.1f} s")
        duck, pandas = _told("duck", "", file), _told("pandas", "", file)
    with tempfile.TemporaryDirectory(prefix="jangbu-twelve-") as directory, stage.database() as urls:
        twelve_months = _told("twelve", urls.billing, twelve.prepare(urls, Path(directory)))
        say(f"invoices: twelve vendors' month, {twelve_months['rows']} rows, in {twelve_months['s']:.1f} s")
    whole = ours["import_s"] + ours["reconcile_s"]
    peak = f"{ours['peak_bytes'] / 1e6:.0f} MB"
    return Findings(
        [
            Figure("CUR imported and reconciled / 30 s a million lines", whole / (lines * AIM_S_A_LINE), ("at most", 1),
                   f"{whole:.1f} s, of which the import {ours['import_s']:.1f} s"),
            Figure("its memory / 1 GiB", ours["peak_bytes"] / AIM_BYTES, ("at most", 1), peak),
            Figure("twelve vendors' ordinary month / 5 s", twelve_months["s"] / twelve.AIM_S, ("at most", 1),
                   f"{twelve_months['s']:.1f} s for {twelve_months['rows']} rows, {twelve_months['breaks']} breaks"),
            Figure("CUR / DuckDB reading and grouping it", whole / duck["s"], None, f"{duck['s']:.2f} s"),
            Figure("CUR / pandas reading and grouping it", whole / pandas["s"], None, f"{pandas['s']:.2f} s"),
        ],
        [f"invoices: {lines} lines of a month, {ours['groups']} breaks, the proof 0; DuckDB and pandas check nothing."],
    )  # fmt: skip


def lines_of(scale: Scale) -> int:
    """How long a bill a run of a size has."""
    return FULL_LINES if scale == FULL else QUICK_LINES


def write_bill(file: Path, lines: int) -> int:
    """A month of Bedrock by hour, 7 models and 40 accounts; what it costs in 1e-8 dollars."""
    total = 0
    with file.open("w", encoding="utf-8") as target:
        target.write(HEADER)
        for number in range(lines):
            at = f"2026-10-{number % 31 + 1:02d}T{number // 31 % 24:02d}"
            cost = number % 99_991
            total += cost
            target.write(
                f"{BILL},Usage,AmazonBedrock,USE1-NovaPro{number % 7}-{WHAT[number % 3]},{at}:00:00.000Z,"
                f"{at}:59:59.000Z,{number % 9973}.{number % 1000:03d},1K tokens,0.{cost:08d},USD,"
                f"{100_000_000_000 + number % 40}\n"
            )
    return total


def _told(role: str, url: str, file: Path) -> dict[str, Any]:
    """What a process of its own found."""
    command = [sys.executable, "-m", "tests.bench.invoices", role, url, str(file)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Disturbed(f"{role} ended with {done.returncode}: {done.stderr[-400:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(url: str, file: Path) -> dict[str, Any]:
    """Import and reconcile, as the commands do."""
    from datetime import UTC, datetime

    from sqlalchemy import create_engine

    from billing.invoices.source import SourceFile
    from billing.invoices.store import Delivery, import_files
    from billing.invoices.vendors import BUILT_IN
    from billing.reconciliation.month import reconcile_month
    from billing.store import snapshot

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    vendor = BUILT_IN["aws"]
    began_s = time.monotonic()
    with engine.begin() as connection:
        source = SourceFile(file.name, file.read_bytes())
        import_files(connection, [source], Delivery(vendor, vendor.month("2026-10"), "bench"))
        del source
    import_s = time.monotonic() - began_s
    with snapshot(engine) as connection:
        month = reconcile_month(connection, "aws", "2026-10", datetime(2026, 12, 1, tzinfo=UTC))
    (document,) = month.documents
    if document.proof.difference:
        raise SystemExit(f"the proof is off by {document.proof.difference}")
    return {
        "import_s": import_s, "reconcile_s": time.monotonic() - began_s - import_s, "groups": len(document.breaks),
        "invoice": str(int(document.proof.invoice * E8)),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }  # fmt: skip


def duck(file: Path) -> dict[str, Any]:
    """DuckDB with as many threads as it likes."""
    import duckdb

    began_s = time.monotonic()
    duckdb.execute(
        "select left(line_item_usage_start_date::varchar, 10) as day, line_item_usage_type, "
        "sum(line_item_usage_amount), sum(line_item_unblended_cost) from "
        f"read_csv('{file}') group by all"
    ).fetchall()
    return {"s": time.monotonic() - began_s}


def pandas(file: Path) -> dict[str, Any]:
    """pandas with its own reader."""
    import pandas as pd

    began_s = time.monotonic()
    names = ["line_item_usage_start_date", "line_item_usage_type", "line_item_usage_amount", "line_item_unblended_cost"]
    table = pd.read_csv(file, usecols=names)
    table.groupby([table[names[0]].str[:10], names[1]])[names[2:]].sum()
    return {"s": time.monotonic() - began_s}


def twelve_vendors(url: str, directory: Path) -> dict[str, Any]:
    """An ordinary month of twelve vendors."""
    from tests.bench import twelve

    return twelve.ours(url, directory)


if __name__ == "__main__":
    ROLE, URL, FILE = sys.argv[1:]
    FOUND = {"ours": lambda: ours(URL, Path(FILE)), "twelve": lambda: twelve_vendors(URL, Path(FILE)),
             "duck": lambda: duck(Path(FILE)), "pandas": lambda: pandas(Path(FILE))}[ROLE]()  # fmt: skip
    print(json.dumps(FOUND))
