"""Every shape that an importer exists for, and which faults its files can show."""

from __future__ import annotations

from tests.seeded import clouds, shapes
from tests.seeded.months import PICO
from tests.seeded.shapes import ALWAYS, CENT, EXTRA, GROUPS, Shape

OPENAI = ("gpt-5-mini-2025-08-07", "gpt-4o-2024-08-06")
CLAUDE = ("claude-haiku-4-5", "claude-opus-5")
SPLIT = ("DUPLICATE", "UNIT_CLASS")
WHOLE = ("BYPASS", "NOT_BILLED", "PERIOD_EDGE")
NO_TAX = ("CREDIT_OR_DISCOUNT", "FEE")
HOURS = ("edge of the month", "another zone")
NAMES = ("another name",)
ALL = (*ALWAYS, *GROUPS, *SPLIT, *EXTRA, *HOURS, *NAMES, "UNEXPLAINED", "a page again")

SHAPES = (
    Shape("openai costs API", "openai", OPENAI, shapes.openai_costs, ALL,
          accounts=("proj_a", "proj_b")),
    Shape("openai costs API, no quantity", "openai", OPENAI, shapes.openai_costs_bare,
          (*ALWAYS, *GROUPS, "DUPLICATE", "a page again", *EXTRA), tells_quantity=False),
    Shape("openai dashboard totals", "openai", OPENAI, shapes.openai_totals, (*ALWAYS, *WHOLE, *EXTRA), grain="day",
          tells_quantity=False),
    Shape("openai dashboard totals + usage", "openai", OPENAI, shapes.openai_totals_and_usage,
          (*ALWAYS, *GROUPS, "UNIT_CLASS", *EXTRA, *HOURS), grain="day"),
    Shape("anthropic cost report", "anthropic", CLAUDE, shapes.anthropic_costs,
          (*ALWAYS, *GROUPS, "DUPLICATE", *NO_TAX), tells_quantity=False),
    Shape("anthropic cost + usage report", "anthropic", CLAUDE, shapes.anthropic_costs_and_usage,
          (*ALWAYS, *GROUPS, "UNIT_CLASS", *NO_TAX, *HOURS, *NAMES)),
    Shape("anthropic console costs", "anthropic", CLAUDE, shapes.anthropic_console,
          (*ALWAYS, *GROUPS, *NO_TAX), tells_quantity=False, step=CENT),
    Shape("anthropic console costs + tokens", "anthropic", CLAUDE, shapes.anthropic_console_and_tokens,
          (*ALWAYS, *GROUPS, "UNIT_CLASS", *NO_TAX, *HOURS, *NAMES), step=CENT),
    Shape("openrouter activity", "openrouter", ("openai/gpt-5.4-20260301", "anthropic/claude-5-opus-20260401"),
          clouds.openrouter, (*ALWAYS, *GROUPS, "UNIT_CLASS", *NO_TAX), grain="day"),
    Shape("perplexity answers", "perplexity", ("sonar", "sonar-pro"), clouds.perplexity,
          (*ALWAYS, *GROUPS, *HOURS, *NAMES), units=("input_tokens", "output_tokens", "requests")),
    Shape("xai invoice", "x-ai", ("grok-4.3", "grok-5"), clouds.xai,
          (*ALWAYS, "UNKNOWN_MODEL", "BYPASS", "NOT_BILLED", *SPLIT, "TAX", "CREDIT_OR_DISCOUNT"), grain="month",
          step=CENT),
    Shape("naver product demand", "naver", ("HCX-005", "HCX-007"), clouds.naver, (*ALWAYS, *NO_TAX),
          units=("input_tokens", "output_tokens"), grain="month", tells_quantity=False, step=PICO, currency="KRW",
          zone="Asia/Seoul", won_prices=True),
    Shape("focus", "reseller", ("maker-large-1", "maker-small-1"), clouds.focus, ALL,
          accounts=("d-01", "d-02")),
    Shape("focus in won", "reseller", ("maker-large-1", "maker-small-1"), clouds.focus,
          ("QUANTITY", "FX", *ALL[1:]), currency="KRW"),
    Shape("focus, rows in cents", "reseller", ("maker-large-1", "maker-small-1"), clouds.focus, ALL, step=CENT),
    Shape("focus by the month", "reseller", ("maker-large-1", "maker-small-1"), clouds.focus,
          (*ALWAYS, "UNKNOWN_MODEL", "BYPASS", "NOT_BILLED", *SPLIT, *EXTRA, *NAMES, "UNEXPLAINED", "a page again"),
          grain="month"),
    Shape("aws CUR 2.0", "aws", ("NovaPro", "Qwen3-32B"), clouds.aws, ALL,
          accounts=("111122223333", "444455556666")),
    Shape("azure cost details", "azure", ("gpt-4.1", "gpt-5-mini"), clouds.azure,
          (*ALWAYS, *GROUPS, *SPLIT, *NO_TAX, *HOURS, *NAMES, "UNEXPLAINED", "a page again"),
          accounts=("s1", "s2")),
    Shape("google billing export", "google", ("gemini-2.5-flash", "gemini-2.5-pro"), clouds.google, ALL,
          zone="America/Los_Angeles", stranger="gemini-9.9-mystery"),
)  # fmt: skip
