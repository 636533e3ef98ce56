"""LiteLLM's names for vendors, operations, models and places -> ours. Pure tables and rules."""

from __future__ import annotations

import re
from typing import Final

PROVIDERS: Final = {
    "anthropic_text": "anthropic",
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "meta_llama": "meta",
    "moonshot": "moonshotai",
    "palm": "google",
    "sagemaker": "aws",
    "sagemaker_chat": "aws",
    "text-completion-codestral": "mistral",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
}
"""`custom_llm_provider` -> the id that genai-prices uses; a name that is not here is the same in both."""

OPERATIONS: Final = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "chat",
    "generate_content_stream": "chat",
    "embedding": "embeddings",
    "text_completion": "text_completion",
    "image_generation": "image_generation",
    "image_edit": "image_edit",
    "transcription": "transcription",
    "speech": "speech",
    "rerank": "rerank",
    "moderation": "moderation",
}
"""`call_type` without the `a` of its asynchronous twin -> `data.operation`; others keep LiteLLM's word."""

_ROUTES: Final = ("converse/", "converse_like/", "invoke/", "async_invoke/", "responses/")
_REGION_FIRST: Final = re.compile(r"([a-z]{2}(?:-[a-z]+)+-[0-9]+)/(.+)")
_REGION_HOST: Final = re.compile(
    r"https?://(?:bedrock[a-z-]*\.([a-z]{2}(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com"
    r"|([a-z]+-[a-z]+[0-9]+)-aiplatform\.googleapis\.com)"
)


def provider_of(custom_llm_provider: str | None, model: str) -> str | None:
    """Whose model answered, from LiteLLM's provider, else from the model's prefix; None where neither says it."""
    name = custom_llm_provider or (model.partition("/")[0] if "/" in model else "")
    return PROVIDERS.get(name.lower(), name.lower()) or None


def operation_of(call_type: str | None) -> str | None:
    """What was asked for, in OpenTelemetry's words where it has one."""
    if not call_type:
        return None
    if call_type in OPERATIONS:
        return OPERATIONS[call_type]
    return OPERATIONS.get(call_type.removeprefix("a"), call_type)


def bare_model(model: str, custom_llm_provider: str | None) -> tuple[str, str | None]:
    """(the vendor's own name of the model, its region where the name says one): `bedrock/eu-west-1/…`."""
    head, slash, rest = model.partition("/")
    if slash and rest and (head == custom_llm_provider or head.lower() in PROVIDERS):
        model = rest
    region = _REGION_FIRST.fullmatch(model)
    if region:
        model = region[2]
    for route in _ROUTES:
        if len(model) > len(route):
            model = model.removeprefix(route)
    return model, region[1] if region else None


def region_of(api_base: str | None) -> str | None:
    """The region in the host of Bedrock or Vertex AI; None elsewhere."""
    found = _REGION_HOST.match(api_base or "")
    return (found[1] or found[2]) if found else None


def snapshot_of(called: str, answered: str | None) -> str:
    """The dated snapshot that answered, where the answer's name extends the one that was called; else the latter.

    An answer may carry the gateway's alias instead of the vendor's name: that is never taken.
    """
    if answered and answered != called and answered.startswith(called) and answered[len(called)] in "-@:.":
        return answered
    return called
