"""Every test that docs/vendor-traps.md names is there, and every vendor of docs/vendors.md has its traps."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "vendor-traps.md").read_text(encoding="utf-8")


def test_the_tests_that_are_named_exist() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    there = {name for source in sources for name in re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)}
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 40
    assert named - there == set()


def test_every_vendor_has_its_traps() -> None:
    vendors = {row.split("|")[1].strip() for row in PAGE.splitlines() if row.startswith("| ")}
    assert {"OpenAI", "Anthropic", "Google", "AWS", "Azure", "FOCUS", "OpenRouter", "Perplexity", "xAI", "Naver",
            "Mistral"} <= vendors  # fmt: skip
