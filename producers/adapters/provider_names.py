"""Other systems' names of vendors -> the ids that genai-prices uses, and whose a model is by its name. Pure tables."""

from __future__ import annotations

import re
from typing import Final

NAMES: Final = {
    # OpenTelemetry, gen_ai.provider.name and the older gen_ai.system
    "aws.bedrock": "aws",
    "aws_bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
    # gateways
    "amazon": "aws",
    "awsbedrock": "aws",
    "azure-openai": "azure",
    "azure_openai": "azure",
    "azureopenai": "azure",
    "bedrock": "aws",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google-vertex-ai": "google",
    "google_vertex": "google",
    "mistral-ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "together_ai": "together",
    "togetherai": "together",
    "vertex": "google",
    "vertex-ai": "google",
    "vertex_ai": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
}
"""A name that is not here is the same in both."""

UNKNOWN: Final = "unknown"
"""Where neither a name nor the model says whose it is: stored, unpriced and shown, never guessed further."""

_FAMILIES: Final = (
    (re.compile(r"(?:chat)?gpt|o[134](?:-|$)|text-embedding-|dall-e|whisper|tts-1|davinci|omni-moderation"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gemini|imagen|veo-|text-bison|chat-bison"), "google"),
    (re.compile(r"mistral|ministral|magistral|codestral|pixtral|devstral"), "mistral"),
    (re.compile(r"command|embed-(?:english|multilingual)|rerank-"), "cohere"),
    (re.compile(r"grok-"), "x-ai"),
    (re.compile(r"deepseek-"), "deepseek"),
    (re.compile(r"sonar"), "perplexity"),
    (re.compile(r"(?:hcx|hyperclova)-"), "naver"),
)


def provider_named(name: str | None) -> str | None:
    """Our id for another system's name; None where it names none."""
    text = (name or "").strip().lower()
    return NAMES.get(text, text) or None


def provider_of_model(model: str) -> str:
    """Whose a model is, by its maker's names: `UNKNOWN` where none fits."""
    text = model.lower()
    return next((provider for pattern, provider in _FAMILIES if pattern.match(text)), UNKNOWN)
