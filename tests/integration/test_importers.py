"""Every vendor that an importer reads is known without a register; Mistral's month is proved from its prices."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.invoices.lines import ANYBODY
from billing.invoices.recognise import IMPORTERS
from billing.invoices.vendors import BUILT_IN
from tests.integration.command_world import CommandShell, use_database
from tests.integration.invoice_world import Used, put_prices, put_use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

MODEL = "mistral-large-2411"
PRICES = {(MODEL, "input"): 170, (MODEL, "cached input"): 17, (MODEL, "output"): 510}
"""Micro-cents a token: 1.7, 0.17 and 5.1 a million."""
GROUPS = {"input": "input", "cached input": "cached", "output": "output"}
DAYS = [date(2026, 10, 1) + timedelta(days=n) for n in range(31)]
USE = [Used(day, MODEL, what, 1000 * n + day.day) for day in DAYS for n, what in enumerate(GROUPS, 1)]
Run = tuple[int, str, str]


@pytest.fixture
def run(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Run]:
    """The command line: (exit code, stdout, stderr)."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))

    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES, "mistral")
        put_use(connection, USE, provider="mistral")
    return CommandShell(capsys).run


def answer(use: list[Used], currency: str, *, free: int = 0) -> dict[str, Any]:
    """What the Admin API says of a month; `free` tokens of each entry are included in a plan."""
    groups: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS.values()}
    for item in use:
        groups[GROUPS[item.what]].append({
            "usage_type": "usage", "event_type": "api_tokens", "billing_metric": MODEL,
            "billing_display_name": "mistral-large", "billing_group": GROUPS[item.what], "timestamp": str(item.day),
            "value": item.tokens, "value_paid": item.tokens - free,
        })  # fmt: skip
    prices = [{"event_type": "api_tokens", "billing_metric": MODEL, "billing_group": GROUPS[what],
               "price": f"{price}e-8"} for (_, what), price in PRICES.items()]  # fmt: skip
    return {"completion": {"models": {"mistral-large::2411": groups}}, "start_date": "2026-10-01T00:00:00Z",
            "end_date": "2026-10-31T23:59:59.999Z", "currency": currency, "prices": prices}  # fmt: skip


def test_mistral_is_proved_without_a_register(run: Callable[..., Run], tmp_path: Path) -> None:
    """The plan's part is a credit; a bill in dollars stands against our dollars."""
    (tmp_path / "usage.json").write_text(json.dumps(answer(USE, "USD")))
    code, out, said = run("invoice", "import", tmp_path / "usage.json", "--vendor", "mistral", "--month", "2026-10")
    assert code == 0, said
    assert "as Mistral's Admin API answers" in out
    documents = proved(run, 0)
    assert sum(one["matched"]["groups"] for one in documents) == len(USE)
    (tmp_path / "plan.json").write_text(json.dumps(answer(USE, "USD", free=10)))
    assert run("invoice", "import", tmp_path / "plan.json", "--vendor", "mistral")[0] == 0
    breaks = [found for one in proved(run, 6) for found in one["breaks"]]
    assert {found["class"] for found in breaks} == {"CREDIT_OR_DISCOUNT"}


def proved(run: Callable[..., Run], code: int) -> list[dict[str, Any]]:
    """The month's documents, one a currency; each proof comes out at 0."""
    found, out, said = run("reconcile", "--vendor", "mistral", "--month", "2026-10", "--json")
    assert found == code, said
    document = json.loads(out)
    documents: list[dict[str, Any]] = document if isinstance(document, list) else document.get("documents", [document])
    assert {one["proof"]["difference"] for one in documents} == {"0"}
    return documents


def test_every_importer_has_a_vendor_that_is_known_without_a_register() -> None:
    providers = {provider for row in BUILT_IN.values() for provider in row.providers}
    assert {importer.vendor for importer in IMPORTERS} - {ANYBODY} <= providers
