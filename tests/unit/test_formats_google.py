"""What the wire format of Google says, by hand-made bodies: one row a trap."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.format_bodies import GEMINI, tokens, units_of

GOOGLE = [
    pytest.param(
        {
            "promptTokenCount": 300,
            "promptTokensDetails": [tokens("TEXT", 50), tokens("DOCUMENT", 100), tokens("IMAGE", 60)],
            "toolUsePromptTokenCount": 40,
            "toolUsePromptTokensDetails": [tokens("AUDIO", 15), tokens("TEXT", 25)],
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 70,
            "totalTokenCount": 440,
        },
        {
            "input_tokens": 165,
            "image_input_tokens": 160,
            "audio_input_tokens": 15,
            "output_tokens": 30,
            "reasoning_tokens": 70,
        },
        id="a document is charged as an image; what no modality claims is text; tools are input; thoughts beside",
    ),
    pytest.param(
        {
            "promptTokenCount": 300,
            "promptTokensDetails": [tokens("TEXT", 100), tokens("VIDEO", 200)],
            "cachedContentTokenCount": 150,
            "cacheTokensDetails": [tokens("VIDEO", 120), tokens("TEXT", 30)],
        },
        {
            "input_tokens": 70,
            "cache_read_tokens": 30,
            "cache_read_video_tokens": 120,
            "video_input_tokens": 80,
        },
        id="cached modalities told",
    ),
    pytest.param(
        {
            "promptTokenCount": 300,
            "promptTokensDetails": [tokens("TEXT", 100), tokens("VIDEO", 150), tokens("AUDIO", 50)],
            "cachedContentTokenCount": 160,
        },
        {
            "input_tokens": 0,
            "cache_read_tokens": 100,
            "cache_read_audio_tokens": 50,
            "cache_read_video_tokens": 10,
            "audio_input_tokens": 0,
            "video_input_tokens": 140,
        },
        id="cached modalities not told: text, audio, video",
    ),
    pytest.param(
        {
            "promptTokenCount": 300,
            "cachedContentTokenCount": 160,
            "cacheTokensDetails": [tokens("AUDIO", 60)],
        },
        {"input_tokens": 140, "cache_read_tokens": 100, "cache_read_audio_tokens": 60},
        id="a modality told of the cache alone: of fresh audio nothing is said",
    ),
    pytest.param(
        {"promptTokenCount": 268, "promptTokensDetails": [tokens("AUDIO", None), tokens("VIDEO", 258)]},
        {"input_tokens": 10, "video_input_tokens": 258},
        id="a listed modality without a count says nothing",
    ),
    pytest.param(
        {"candidatesTokenCount": 1304, "candidatesTokensDetails": [tokens("IMAGE", 1290), tokens("AUDIO", 4)]},
        {"output_tokens": 10, "image_output_tokens": 1290, "audio_output_tokens": 4},
        id="output modalities, with text that is not listed",
    ),
    pytest.param(
        {"promptTokenCount": 5, "thoughtsTokenCount": 71, "totalTokenCount": 76},
        {"input_tokens": 5, "reasoning_tokens": 71},
        id="thoughts without an answer",
    ),
    pytest.param(
        {"promptTokenCount": 5, "candidatesTokenCount": 100, "thoughtsTokenCount": 60, "totalTokenCount": 105},
        {"input_tokens": 5, "output_tokens": 40, "reasoning_tokens": 60},
        id="thoughts inside the candidates, as the total says",
    ),
    pytest.param(
        {"promptTokenCount": 5, "promptTokensDetails": [tokens("MODALITY_UNSPECIFIED", 2), tokens("SMELL", 3)]},
        {"input_tokens": 2, "smell_input_tokens": 3},
        id="a new modality names itself, an unspecified one is text",
    ),
    pytest.param(
        {"promptTokenCount": 20, "promptTokensDetails": [tokens("AUDIO", 5), tokens("AUDIO", 7)]},
        {"input_tokens": 8, "audio_input_tokens": 12},
        id="a modality listed twice",
    ),
    pytest.param(
        {"promptTokenCount": 9, "promptTokenDetails": [tokens("AUDIO", 4)]},
        {"input_tokens": 9},
        id="an older spelling of the list says nothing",
    ),
]


@pytest.mark.parametrize(("usage", "expected"), GOOGLE)
def test_google(usage: dict[str, Any], expected: dict[str, int]) -> None:
    assert units_of(GEMINI, {"modelVersion": "m", "usageMetadata": usage}) == expected
