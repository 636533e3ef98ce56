"""The 29 models of the demo's house: who sells them, how their answers are written, how people use them.

Which vendors: those that the first house offers and their peers. The shares and sizes are invented; they are set so
that a person and month costs about what it did there (2,200 KRW, design.md head).
"""

from __future__ import annotations

from typing import NamedTuple


class Model(NamedTuple):
    """One model.

    share: of the people's preferences, any scale. prompt_tokens, answer_tokens: medians of a request.
    thinking: reasoning tokens as a share of the answer. cached: how often a prompt comes from the vendor's cache.
    searches: how often a request searches the web.
    wire: the format in which its vendor answers; None: its answers reach us as usage events only.
    gateway_provider: what LiteLLM calls the vendor; None: not behind that gateway.
    """

    provider: str
    name: str
    share: int
    prompt_tokens: int
    answer_tokens: int
    thinking: float = 0.0
    cached: float = 0.0
    searches: float = 0.0
    wire: str | None = None
    gateway_provider: str | None = None


def _openai(name: str, share: int, prompt: int, answer: int, thinking: float = 0.0, searches: float = 0.0) -> Model:
    return Model("openai", name, share, prompt, answer, thinking, 0.25, searches, "openai.chat", "openai")


def _anthropic(name: str, share: int, prompt: int, answer: int, thinking: float = 0.0) -> Model:
    return Model("anthropic", name, share, prompt, answer, thinking, 0.3, 0.0, "anthropic.messages", "anthropic")


def _google(name: str, share: int, prompt: int, answer: int, thinking: float = 0.0, searches: float = 0.0) -> Model:
    return Model("google", name, share, prompt, answer, thinking, 0.2, searches, "google.generate_content", "gemini")


MODELS = (
    _openai("gpt-5.4", 130, 7380, 1780, 0.35, 0.03),
    _openai("gpt-5.4-mini", 150, 5960, 1420, 0.2, 0.02),
    _openai("gpt-5.4-nano", 45, 3550, 710),
    _openai("gpt-5.2", 40, 6530, 1560, 0.3),
    _openai("gpt-5-mini-2025-08-07", 50, 5400, 1140, 0.25),
    _openai("gpt-4.1-mini-2025-04-14", 25, 4260, 850),
    _openai("gpt-4o-2024-08-06", 45, 3690, 920),
    _openai("o4-mini-2025-04-16", 20, 3120, 1280, 0.6),
    _anthropic("claude-opus-5", 45, 9230, 2130, 0.3),
    _anthropic("claude-sonnet-5", 85, 7950, 1850, 0.2),
    _anthropic("claude-sonnet-4-6", 30, 7670, 1700),
    _anthropic("claude-haiku-4-5", 25, 4540, 990),
    _google("gemini-3.1-pro-preview", 50, 9940, 1700, 0.4),
    _google("gemini-3.5-flash", 60, 7380, 1280, 0.25, 0.04),
    _google("gemini-2.5-flash", 45, 5960, 1140, 0.2, 0.02),
    _google("gemini-2.5-flash-lite", 20, 3690, 640),
    Model("perplexity", "sonar", 35, 430, 740, wire="openai.chat", gateway_provider="perplexity"),
    Model("perplexity", "sonar-pro", 20, 600, 1210, wire="openai.chat", gateway_provider="perplexity"),
    Model("mistral", "mistral-large-2512", 12, 5110, 1280, wire="openai.chat", gateway_provider="mistral"),
    Model("mistral", "mistral-small-2603", 10, 3410, 850, wire="openai.chat", gateway_provider="mistral"),
    Model("x-ai", "grok-4.3", 15, 4830, 1280, cached=0.1, wire="openai.chat", gateway_provider="xai"),
    Model("x-ai", "grok-4-fast-reasoning", 10, 3690, 990, cached=0.1, wire="openai.chat", gateway_provider="xai"),
    Model("cohere", "command-a-03-2025", 10, 5400, 990, wire="cohere.chat", gateway_provider="cohere_chat"),
    Model("naver", "HCX-007", 40, 4540, 1280, 0.3),
    Model("naver", "HCX-DASH-002", 30, 2840, 710),
    Model("lg", "EXAONE-4.0.1-32B", 20, 4260, 1140, 0.2),
    Model("upstage", "solar-pro2", 20, 4260, 990),
    Model("skt", "A.X-4.0", 12, 3690, 850),
    Model("kakao", "kanana-1.5-15.7b-a3b", 8, 3120, 710),
)
BY_NAME = {model.name: model for model in MODELS}

UNPRICED = "kanana-1.5-15.7b-a3b"
"""The one model for which nobody brings a price: its use shows as unpriced, never as 0."""
REPRICED = "gpt-5.4-mini"
"""The model whose output price OpenAI's bill raises within the month, without our price book knowing."""
BATCHED = "gpt-5-mini-2025-08-07"
"""The model of the nightly batch, at half price by agreement."""
BYPASSED = "gpt-5.4"
"""The model that a laboratory calls with a key of its own, past the gateway."""

DOMESTIC_PRICES_KRW = {
    "HCX-007": ("1250", "5000"),
    "HCX-DASH-002": ("250", "1000"),
    "EXAONE-4.0.1-32B": ("900", "1500"),
    "solar-pro2": ("210", "840"),
    "A.X-4.0": ("700", "1400"),
}
"""(input, output) in KRW for 1,000,000 tokens, without tax. INVENTED for the demo: no vendor's price."""
BATCH_PRICES_USD = {"input_tokens": "0.125", "cache_read_tokens": "0.0125", "output_tokens": "1"}
"""BATCHED's agreed price for 1,000,000 tokens of a batch. INVENTED for the demo."""
