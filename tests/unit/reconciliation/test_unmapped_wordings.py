"""A meter, SKU or line item that no importer understands does not stop a month: its money is UNKNOWN_MODEL with the
text seen, and a dated rule settles it. Units, tiers, currencies and columns that are not known still refuse."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from billing.invoices.lines import UNMAPPED, LineKind, VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile
from billing.reconciliation.groups import OurGroup, Policy, PriceUse, UsageKey
from billing.reconciliation.name_rules import NameRule, renamed
from billing.reconciliation.reconcile import reconcile
from tests.unit.reconciliation import test_aws_files, test_azure_files, test_focus_files, test_google_files
from tests.unit.reconciliation.test_openai_files import page, result

BOOK = PriceUse("P-1", Decimal("0.001"), "USD", date(2026, 1, 1))
FILES = {
    "openai": (page(result("2", item='"gpt-4o, dream tokens"')), "gpt-4o, dream tokens"),
    "aws": (test_aws_files.written({"line_item_usage_type": "USE1-NovaPro-dreams"}), "USE1-NovaPro-dreams"),
    "azure": (test_azure_files.written({"meterName": "gpt 4.1 Inp surprise glbl"}), "gpt 4.1 Inp surprise glbl"),
    "focus": (test_focus_files.written({"SkuMeter": "Quantum Tokens"}), "maker-large-1: Quantum Tokens"),
    "google": (test_google_files.row(sku={"description": "Gemini 2.5 Flash Text Dream - Predictions"}),
               "Gemini 2.5 Flash Text Dream - Predictions"),
}  # fmt: skip


def unmapped(content: str | bytes) -> VendorLine:
    source = SourceFile("bill", content if isinstance(content, bytes) else content.encode())
    lines = [one for one in recognise(source).importer.read(source) if isinstance(one, VendorLine)]
    (found,) = [one for one in lines if one.kind is LineKind.USAGE]
    return found


def listed(_day: date, model: str, _tier: str, _unit: str) -> PriceUse | None:
    return BOOK if model == "known" else None


@pytest.mark.parametrize("vendor", FILES)
def test_the_text_seen_is_what_the_break_says(vendor: str) -> None:
    content, wording = FILES[vendor]
    line = unmapped(content)
    assert (line.model, line.unit) == (wording, UNMAPPED)
    found = reconcile([], [line], Policy("USD", price=listed))
    (only,) = found.breaks
    assert (str(only.cls), only.amount) == ("UNKNOWN_MODEL", line.amount)
    assert found.proof.difference == 0
    assert wording in only.why
    assert "vendor map import" in only.why


@pytest.mark.parametrize("vendor", FILES)
def test_a_rule_says_which_model_and_unit_it_means(vendor: str) -> None:
    """Mapped to a model and a unit it matches our use of it, to the token where the vendor told how many."""
    content, wording = FILES[vendor]
    line = unmapped(content)
    (mapped,) = renamed([line], [NameRule(vendor, wording.lower(), "known", "input_tokens")])
    assert (mapped.model, mapped.unit) == ("known", "input_tokens")
    assert mapped.amount is not None
    tokens = int(mapped.quantity) if mapped.quantity is not None else 1000
    price = PriceUse("P-2", mapped.amount / tokens, "USD", date(2026, 1, 1))
    key = UsageKey(line.day, None, "known", "standard", "input_tokens")
    ours = [OurGroup(key, tokens, mapped.amount, "USD", (price,))]
    assert reconcile(ours, [mapped], Policy("USD", price=lambda *_: price)).breaks == ()
