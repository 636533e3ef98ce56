"""The bridge as a workbook and a page: its sums are the steps', in both, and its bars stand where the sums do."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.breaks.bridges import RecordedBridge
from billing.outputs import font
from billing.outputs.bridge_files import bars, bridge_page, bridge_workbook
from billing.outputs.paper import paper_pdf, paper_pictures
from billing.outputs.texts import Language
from billing.reconciliation.bridge import Step
from billing.reconciliation.groups import BreakClass

RUN_AT = datetime(2026, 11, 3, tzinfo=UTC)
LONG = "0.1234567890123456789"


def step(cls: BreakClass | None, name: str, amount: str, count: int, after: str) -> Step:
    return Step(cls, name, Decimal(amount), count, Decimal(after))


BRIDGE = RecordedBridge("USD", RUN_AT, (
    step(None, "ours", "100", 0, "100"),
    step(BreakClass.BYPASS, "BYPASS", "25.5", 1, "125.5"),
    step(BreakClass.NOT_BILLED, "NOT_BILLED", "-50", 2, "75.5"),
    step(BreakClass.PRICE, "PRICE", LONG, 3, "75.6234567890123456789"),
    step(None, "invoice", "75.6234567890123456789", 0, "75.6234567890123456789"),
))  # fmt: skip


def page(language: Language) -> dict[str, object]:
    return bridge_page("openai", "2026-10", [BRIDGE], "서울시", language, font.covered())


def test_bars_stand_where_the_sums_do() -> None:
    made = bars(BRIDGE.steps, {})
    assert [(bar["kind"], bar["bottom"], bar["top"]) for bar in made] == [
        ("pillar", 0, 796), ("more", 796, 1000), ("less", 601, 1000), ("more", 601, 602), ("pillar", 0, 602),
    ]  # fmt: skip


def test_a_bridge_below_zero_has_its_bars_below_it() -> None:
    """A month of credits: ours 10, credit -30, invoice -20."""
    credit = BreakClass.CREDIT_OR_DISCOUNT
    steps = (
        step(None, "ours", "10", 0, "10"),
        step(credit, str(credit), "-30", 1, "-20"),
        step(None, "invoice", "-20", 0, "-20"),
    )
    assert [(bar["bottom"], bar["top"]) for bar in bars(steps, {})] == [(666, 1000), (0, 1000), (0, 666)]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_proves_itself_and_is_the_same_file(language: Language) -> None:
    made = page(language)
    assert BRIDGE.difference == 0
    facts = dict(made["facts"])  # type: ignore[call-overload]
    (proof,) = [text for name, text in facts.items() if "USD" in name]
    assert "75.6234567890123456789" in proof
    assert proof.endswith("= 0")
    assert paper_pdf(made, RUN_AT) == paper_pdf(made, RUN_AT)
    assert len(paper_pictures(made, RUN_AT)) == 1


def test_the_workbook_holds_exact_texts_and_a_chart() -> None:
    content = bridge_workbook("openai", "2026-10", [BRIDGE], "en")
    assert content == bridge_workbook("openai", "2026-10", [BRIDGE], "en")
    with zipfile.ZipFile(io.BytesIO(content)) as held:
        strings = held.read("xl/sharedStrings.xml").decode()
        chart = held.read("xl/charts/chart1.xml").decode()
    assert LONG in strings
    assert "$A$2:$A$6" in chart
