"""Papers in Korean say everything in Korean but what people wrote: shares, taxes, corrections and contract terms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import openpyxl
import pypdf
import pytest

from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world
from tests.scenarios.money_world import import_rules, import_vendors
from tests.scenarios.test_prices_months import TERMS_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

NOVEMBER = "2026-11-03T10:00:00+09:00"
TERMS = """least,minimum_fee,openai,,,,KRW,,5000,,,2026-10,,annex 7
ten off,discount,openai,,,,,10,,,,2026-01-01,,annex 8
"""


@pytest.fixture
def shell(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandShell]:
    """October closed with every kind of charge; late use, another price and another rule correct it in November."""
    use_database(migrated_database, monkeypatch, tmp_path)
    shell = CommandShell(capsys)
    with period_world(migrated_database) as world:
        world.house.prices(PRICE.format(10, 1))
        (tmp_path / "terms.csv").write_text(TERMS_HEADER + TERMS, encoding="utf-8")
        shell.json("price", "terms", "import", "terms.csv")
        import_vendors(world.house, "openai,OpenAI,openai,,UTC,KRW,vendor_charged,0.1,,2,,,,")
        import_rules(world.house, "support,fixed,3000,KRW,users,,,2026-10,,plan 2026",
                     "nobody,unattributed,,,cost,,,2026-10,,")  # fmt: skip
        world.use(world.one("a", OCTOBER, "D1", 100), world.one("b", OCTOBER, "D2", 200, user="v"),
                  world.one("c", OCTOBER, None, 3, user=None))  # fmt: skip
        world.close("2026-10", "unattributed")
        correct_it(world)
        yield shell


def correct_it(world: PeriodWorld) -> None:
    world.use(world.one("late", OCTOBER, "D1", 50), world.one("now", NOVEMBER, "D1", 7))
    import_rules(world.house, "support,fixed,6000,KRW,shares,,D1=1; D2=2,2026-10,2026-11,agreed late")


def descriptions(shell: CommandShell, month: str, language: str) -> list[str]:
    """The cells of the charges' sheet, and of the contract terms of lines, of the organisation's workbook."""
    words = ("--format", "xlsx", "--lang", language, "--out", "out", "--department", "organisation")
    (made,) = shell.json("statement", "export", month, *words)["files"]
    assert shell.run("statement", "verify", made["file"])[0] == 0
    _, lines, charges, *_ = openpyxl.load_workbook(made["file"]).worksheets
    terms = [row[11].value for row in lines.iter_rows(min_row=2) if row[11].value]
    return terms + [str(row[2].value) for row in charges.iter_rows(min_row=2) if row[2].value]


@pytest.mark.parametrize("month", ["2026-10", "2026-11"])
def test_every_fact_of_a_charge_is_named_in_korean(shell: CommandShell, month: str) -> None:
    told = descriptions(shell, month, "ko")
    assert len(told) >= 4
    for one in told:
        for fact in one.split(" · "):
            assert re.match(r"[가-힣]", fact), (fact, one)
    english = descriptions(shell, month, "en")
    assert len(english) == len(told)
    assert not any(re.search(r"[가-힣]", one) for one in english)


def test_what_stands_there(shell: CommandShell) -> None:
    october, november = (" | ".join(descriptions(shell, month, "ko")) for month in ("2026-10", "2026-11"))
    for words in ("배부 규칙: support", "공통비: 정액", "배부 기준: 사용자 수", "출처: plan 2026",
                  "과세 방식: 공급사 부과", "공통비: 계약 부족액 (least)", "종류: 할인", "이름: ten off"):  # fmt: skip
        assert words in october, october
    for words in ("사유: 마감 후 도착한 사용", "근거: 2026-10: 파티션 0의 오프셋 2 이후 1건", "사유: 배부 정정",
                  "단위: 입력 토큰", "원래 사용월: 2026-10"):  # fmt: skip
        assert words in november, november


def test_the_pdf_says_the_same(shell: CommandShell) -> None:
    words = ("--format", "pdf", "--lang", "ko", "--out", "out", "--department", "D1")
    (made,) = shell.json("statement", "export", "2026-11", *words)["files"]
    text = "".join(page.extract_text() for page in pypdf.PdfReader(made["file"]).pages).replace("\n", "")
    assert "마감 후 도착한 사용" in text
    assert "LATE_USAGE" not in text
    assert shell.json("statement", "verify", made["file"])["answer"] == "agrees"
