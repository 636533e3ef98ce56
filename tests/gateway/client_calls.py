"""Every kind of call, by the real `openai` and `anthropic` clients: `client_calls.py PROXY_URL KEY SET`.

Run by the interpreter of .clients. Prints a JSON line a call: what the client got. Each call carries its tag twice: in
its text, where the stand-in reads what to do, and in `x-litellm-tags`, which LiteLLM puts into its payload.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai

URL, KEY, WHICH = sys.argv[1:4]
CANARY = "CANARY-prompt"
_openai = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=60)
_anthropic = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=60)


def tag_of(order: str) -> dict[str, str]:
    """The header with the call's tag, and an agent's name that must not pass."""
    tag = order.partition(";")[0].removeprefix("tag=")
    return {"x-litellm-tags": f"call:{tag}", "user-agent": "CANARY-agent"}


def text(order: str) -> str:
    """What is asked."""
    return f"{CANARY} [[{order}]]"


def chat(order: str, model: str = "gpt", *, stream: bool = False, **more: Any) -> Any:
    """Chat completions."""
    messages: Any = [{"role": "user", "content": text(order)}]
    answer = _openai.chat.completions.create(
        model=model, messages=messages, stream=stream, user="CANARY@example.org", extra_headers=tag_of(order), **more
    )
    return sum(1 for _ in answer) if stream else answer.id


def hang_up(order: str) -> str:
    """A client that leaves in the middle of a stream."""
    messages: Any = [{"role": "user", "content": text(order)}]
    answer = _openai.chat.completions.create(model="gpt", messages=messages, stream=True, extra_headers=tag_of(order))
    next(iter(answer))
    answer.close()
    return "left"


def responses(order: str, *, stream: bool = False) -> Any:
    """The responses API."""
    answer = _openai.responses.create(model="gpt-small", input=text(order), stream=stream, extra_headers=tag_of(order))
    return sum(1 for _ in answer) if stream else answer.id


def messages(order: str, *, stream: bool = False) -> Any:
    """Anthropic's own API."""
    said: Any = [{"role": "user", "content": text(order)}]
    answer = _anthropic.messages.create(
        model="claude", max_tokens=50, messages=said, stream=stream, extra_headers=tag_of(order)
    )
    return sum(1 for _ in answer) if stream else answer.id


def generate(order: str, *, stream: bool = False) -> int:
    """Google's own API; a stream that breaks off raises."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": text(order)}]}]}
    headers = {"authorization": f"Bearer {KEY}", **tag_of(order)}
    return httpx.post(f"{URL}/v1beta/models/gemini:{method}", headers=headers, json=body, timeout=60).status_code


def batch() -> str:
    """A batch, looked at twice after it is complete."""
    line = {"custom_id": "c0", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "gpt-5-mini", "messages": [{"role": "user", "content": CANARY}]}}  # fmt: skip
    extra: Any = {"custom_llm_provider": "openai"}
    file = _openai.files.create(file=("b.jsonl", json.dumps(line).encode() + b"\n"), purpose="batch", extra_body=extra)
    made = _openai.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", extra_body=extra
    )
    found = [_openai.batches.retrieve(made.id, extra_headers={"custom-llm-provider": "openai"}) for _ in range(2)]
    return found[-1].status


def everything() -> dict[str, Callable[[], Any]]:
    """Names of calls and what makes them."""
    kinds: dict[str, Callable[[], Any]] = {
        "whole": lambda: chat("tag=whole;cached=3;reasoning=2"),
        "streamed": lambda: chat("tag=streamed;cached=3;reasoning=2", stream=True),
        "retried": lambda: chat("tag=retried;fail=500,429"),
        "retried-stream": lambda: chat("tag=retried-stream;fail=503", stream=True),
        "fallen-back": lambda: chat("tag=fallen-back;fail=500,500,500"),
        "failed": lambda: chat("tag=failed;fail=500,500,500,500,500,500"),
        "refused": lambda: chat("tag=refused;fail=400", "gpt-small"),
        "cut": lambda: chat("tag=cut;cut=2", "gpt-small", stream=True),
        "cut-twice": lambda: chat("tag=cut-twice;cut=2", stream=True),
        "left": lambda: hang_up("tag=left;chunks=300;pace_ms=20"),
        "claude": lambda: chat("tag=claude;cached=5;written=4", "claude"),
        "claude-streamed": lambda: chat("tag=claude-streamed;cached=5;written=4", "claude", stream=True),
        "gemini": lambda: chat("tag=gemini;cached=5;reasoning=3", "gemini"),
        "gemini-streamed": lambda: chat("tag=gemini-streamed;cached=5;reasoning=3", "gemini", stream=True),
        "responses": lambda: responses("tag=responses;cached=2;reasoning=1"),
        "responses-streamed": lambda: responses("tag=responses-streamed;cached=2;reasoning=1", stream=True),
        "messages": lambda: messages("tag=messages;cached=2;written=3"),
        "messages-streamed": lambda: messages("tag=messages-streamed;cached=2;written=3", stream=True),
        "messages-retried": lambda: messages("tag=messages-retried;fail=529"),
        "messages-cut": lambda: messages("tag=messages-cut;cut=4", stream=True),
        "generate": lambda: generate("tag=generate;cached=1;reasoning=2"),
        "generate-streamed": lambda: generate("tag=generate-streamed;cached=1", stream=True),
        "generate-retried": lambda: generate("tag=generate-retried;fail=503", stream=True),
        "generate-cut": lambda: generate("tag=generate-cut;cut=2", stream=True),
        "embedding": lambda: len(embed("tag=embedding")),
        "embedding-retried": lambda: len(embed("tag=embedding-retried;fail=500,500")),
        "image": lambda: len(image("tag=image").data),
        "transcription": lambda: transcribe("tag=transcription"),
        "speech": lambda: len(speak("tag=speech")),
        "speech-failed": lambda: len(speak("tag=speech-failed;fail=500,500,500")),
        "batch": batch,
        "unknown-model": lambda: chat("tag=unknown-model", "no-such-model"),
        "wrong-key": wrong_key,
    }
    return kinds


def embed(order: str) -> Any:
    """Embeddings."""
    return _openai.embeddings.create(model="embedding", input=text(order), extra_headers=tag_of(order)).data


def image(order: str) -> Any:
    """An image."""
    return _openai.images.generate(model="image", prompt=text(order), extra_headers=tag_of(order))


def transcribe(order: str) -> str:
    """A transcription."""
    made: Any = _openai.audio.transcriptions.create(
        model="transcription", file=("a.wav", b"RIFF"), prompt=text(order), extra_headers=tag_of(order)
    )
    return str(made.text)


def speak(order: str) -> bytes:
    """Speech."""
    return _openai.audio.speech.create(
        model="speech", voice="alloy", input=text(order), extra_headers=tag_of(order)
    ).read()


def wrong_key() -> Any:
    """A call that the gate refuses."""
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="sk-CANARY-wrong", max_retries=0)
    return client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": text("tag=wrong-key")}]).id


def mocks() -> dict[str, Callable[[], Any]]:
    """What LiteLLM answers itself, whole and streamed; the second of the same is from its cache."""
    return {
        "mock": lambda: chat("tag=mock", "mock"),
        "mock-streamed": lambda: chat("tag=mock-streamed", "mock", stream=True),
        "asked": lambda: chat("tag=same"),
        "asked-again": lambda: chat("tag=same"),
    }


def main() -> None:
    """Make the calls of a set, one after the other."""
    for name, call in (everything() if WHICH == "everything" else mocks()).items():
        try:
            got = {"call": name, "got": call()}
        except (openai.OpenAIError, anthropic.AnthropicError, httpx.HTTPError) as error:
            got = {"call": name, "error": type(error).__name__}
        sys.stdout.write(json.dumps(got) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
