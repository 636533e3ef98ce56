"""The letter and the table of a dispute: figures as they are, nothing personal, the same bytes each time."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.breaks.worklist import Found, Part, Side, WorkItem
from billing.outputs import font
from billing.outputs.dispute import _CLASSES, COLUMNS, FIGURES, Letter, dispute_page, dispute_rows, struck
from billing.outputs.paper import paper_pdf, paper_pictures
from billing.outputs.rows_file import rows_csv
from billing.outputs.texts import Language
from billing.reconciliation.groups import BreakClass

SECRETS = ("kim@seoul.go.kr", "sk-proj-abcdef123456", "D012", "u-1001", "proj_hers")
MOMENT = datetime(2026, 11, 3, 4, 5, tzinfo=UTC)


def item(cls: str, model: str, amounts: list[str], *, what: str = "") -> WorkItem:
    """A break of as many days as amounts; ours is 10 for a million a day."""
    days = [date(2026, 10, 3 + place) for place in range(len(amounts))]
    found = tuple(
        Found(day, Decimal(amount), f"key {SECRETS[1]} of u-1001 in D012", Side(Decimal(1_000_000), Decimal(10)),
              Side(Decimal(1_000_000), Decimal(10) + Decimal(amount)))
        for day, amount in zip(days, amounts, strict=True)
    )  # fmt: skip
    key = {"model": model, "unit": "input_tokens", "account": "proj_hers", **({"item": what} if what else {})}
    parts = tuple(Part(one.day, one.amount) for one in found)
    return WorkItem("openai", "2026-10", "USD", "1f2e3d4c5b" + "0" * 54, cls, key, parts, False, False, found)


ITEMS = [
    item("PRICE", "gpt-5-mini", ["0.5", "0.25"]),
    item("BYPASS", "gpt-4o", ["3"], what=f"gpt-4o, input ({SECRETS[0]}, {SECRETS[1]})"),
]


def letter(language: Language) -> Letter:
    return Letter("서울시", "OpenAI, L.L.C.", date(2026, 11, 3), language, font.covered())


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_letter_says_what_is_disputed_and_nothing_about_anybody(language: Language) -> None:
    page = dispute_page("openai", "2026-10", ITEMS, letter(language))
    told = json.dumps(page, ensure_ascii=False).replace("\u200b", "")
    assert not [secret for secret in SECRETS if secret in told]
    (items, prices) = page["tables"]
    cells = [[cell.replace("\u200b", "") for cell in row["cells"]] for row in items["rows"]]
    assert [row[-1] for row in cells] == ["0.75", "3", "3.75"]
    assert [row[3:6] for row in cells[:2]] == [["2", "20.75", "20"], ["1", "13", "10"]]
    assert [cell.replace("\u200b", "") for cell in prices["rows"][0]["cells"]][2:] == ["10.375 USD", "10 USD"]
    assert page["facts"][-1][1] == "3.75 USD"


def test_the_table_has_every_day_and_adds_up() -> None:
    rows = dispute_rows(ITEMS)
    assert sum(Decimal(row["difference"]) for row in rows) == Decimal("3.75")
    assert [(row["day"], row["invoiced_amount"], row["expected_amount"]) for row in rows] == [
        ("2026-10-03", "10.5", "10"), ("2026-10-04", "10.25", "10"), ("2026-10-03", "13", "10"),
    ]  # fmt: skip
    content = rows_csv(COLUMNS, rows, FIGURES).decode()
    assert not [secret for secret in SECRETS if secret in content]
    assert "gpt-4o, input ([…], […])" in content


@pytest.mark.parametrize("text", ["gpt-4o, input", "Claude Sonnet 4.5 Usage - Input Tokens, <= 200k",
                                  "gpt 4.1 cached Inp glbl Tokens", "USE1-claude-sonnet-input-tokens"])  # fmt: skip
def test_what_a_vendor_calls_a_thing_stays(text: str) -> None:
    assert struck(text) == text


def test_every_class_has_words() -> None:
    assert set(_CLASSES) == {str(cls) for cls in BreakClass}


def test_the_same_letter_is_the_same_file() -> None:
    page = dispute_page("openai", "2026-10", ITEMS, letter("ko"))
    first = paper_pdf(page, MOMENT)
    assert first == paper_pdf(page, MOMENT)
    assert first.startswith(b"%PDF-1.7")
    assert b"pdfaid" in first
    assert len(paper_pictures(page, MOMENT)) == 1
