"""The stand-in's bill as an OpenAI invoice, imported and reconciled by our commands: what they say of each call.

The stand-in answers each call of OpenAI's form in a project of its own, so that a break names a call. Only whole
answers are billed here: of a stream that broke off nobody told the gateway what it cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

WORDS = {"input_tokens": "input", "cache_read_tokens": "cached input", "output_tokens": "output",
         "reasoning_tokens": "output"}  # fmt: skip
USD_PER_MILLION = {
    ("gpt-5-mini", "input"): Decimal("0.25"), ("gpt-5-mini", "cached input"): Decimal("0.025"),
    ("gpt-5-mini", "output"): Decimal(2), ("gpt-5-nano", "input"): Decimal("0.05"),
    ("gpt-5-nano", "cached input"): Decimal("0.005"), ("gpt-5-nano", "output"): Decimal("0.4"),
}  # fmt: skip
"""OpenAI's list prices of 2026-10; what is compared is quantities, so that a later change makes PRICE, not BYPASS."""
COMMAND_S_MAX = 600.0
PRICE_HEADER = "provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source"


def reconciled(
    bill: list[dict[str, Any]], urls: DatabaseUrls, directory: Path
) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """(class of break -> project -> how many breaks, the proof). Of a bill within one month of UTC."""
    month = datetime.fromtimestamp(bill[0]["at"], UTC).strftime("%Y-%m")
    page = directory / "openai-costs.json"
    page.write_text(json.dumps(_page(bill)))
    prices = directory / "prices.csv"
    prices.write_text("\n".join([PRICE_HEADER, *_price_lines()]) + "\n")
    _jangbu(urls, directory, "price", "import", str(prices), "--yes")
    _jangbu(urls, directory, "invoice", "import", str(page), "--vendor", "openai", "--month", month, "--yes")
    said = _jangbu(urls, directory, "reconcile", "--vendor", "openai", "--month", month, "--json", codes=(0, 6))
    document = json.loads(said)
    document = document[0] if isinstance(document, list) else document
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in document["breaks"]:
        found[one["class"]][str(one["key"].get("account"))] += 1
    return {name: dict(projects) for name, projects in found.items()}, document["proof"]


def _page(bill: list[dict[str, Any]]) -> dict[str, Any]:
    """A page of OpenAI's costs API: a bucket for each day of the month so far."""
    days: dict[int, dict[tuple[str, str, str], int]] = defaultdict(lambda: defaultdict(int))
    for line in bill:
        if line["provider"] == "openai" and line["outcome"] == "success":
            day = int(line["at"]) // 86_400
            for unit, count in line["units"].items():
                days[day][line["tag"], line["model"], WORDS[unit]] += count
    last = datetime.fromtimestamp(max(line["at"] for line in bill), UTC)
    first = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    buckets = []
    while first <= last:
        start = int(first.timestamp())
        results = [_result(*key, count) for key, count in sorted(days[start // 86_400].items())]
        buckets.append({"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results})
        first += timedelta(days=1)
    return {"object": "page", "has_more": False, "next_page": None, "data": buckets}


def _result(project: str, model: str, word: str, count: int) -> dict[str, Any]:
    amount = count * USD_PER_MILLION[model, word] / 1_000_000
    return {
        "object": "organization.costs.result", "amount": {"value": float(amount), "currency": "usd"},
        "line_item": f"{model}-2025-08-07, {word}", "quantity": count, "quantity_unit": "tokens",
        "project_id": project, "organization_id": "org-standin",
    }  # fmt: skip


def _price_lines() -> list[str]:
    units = {"input": "input_tokens", "cached input": "cache_read_tokens", "output": "output_tokens"}
    return [
        f"openai,{model}{snapshot},{units[word]},,,,USD,{price},1000000,2026-01-01T00:00:00Z,,stand-in"
        for (model, word), price in USD_PER_MILLION.items()
        for snapshot in ("", "-2025-08-07")
    ]


def _jangbu(urls: DatabaseUrls, directory: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
    environment |= {
        "JANGBU_DATABASE_URL": urls.owner, "JANGBU_DATABASE_URL_WORKER": urls.worker,
        "JANGBU_DATABASE_URL_BILLING": urls.billing, "JANGBU_DATABASE_URL_READER": urls.reader,
        "JANGBU_DATA_DIR": str(directory / "jangbu"), "JANGBU_TIMEZONE": "UTC",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "jangbu", *words], env=environment, capture_output=True, text=True, check=False,
        timeout=COMMAND_S_MAX, cwd=directory,
    )  # fmt: skip
    assert done.returncode in codes, f"jangbu {' '.join(words)}: {done.returncode}\n{done.stderr[-2000:]}"
    return done.stdout
