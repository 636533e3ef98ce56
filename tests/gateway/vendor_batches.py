"""The stand-in's batches: a file of requests in, a file of answers out, billed once, at half price by the vendor."""

from __future__ import annotations

import json
from typing import Any

OUTPUT_LINES = 3
INPUT_TOKENS = 5
OUTPUT_TOKENS = 2
_MODEL = "gpt-5-mini-2025-08-07"


def answer(method: str, path: str, _body: bytes) -> tuple[bytes, list[dict[str, Any]]]:
    """(body of the answer, lines of the bill). A batch is complete as soon as it is asked for."""
    if path.startswith("/v1/files"):
        if path.endswith("/content"):
            return _output(), []
        name = "file-standin-in" if method == "POST" else path.rpartition("/")[2]
        told = {"id": name, "object": "file", "bytes": 1, "created_at": 1_790_000_000, "filename": "batch.jsonl",
                "purpose": "batch", "status": "processed", "expires_at": None}  # fmt: skip
        return json.dumps(told).encode(), []
    batch = {
        "id": "batch_standin", "object": "batch", "endpoint": "/v1/chat/completions", "errors": None,
        "input_file_id": "file-standin-in", "completion_window": "24h", "status": "completed",
        "output_file_id": "file-standin-out", "error_file_id": None, "created_at": 1_790_000_000,
        "in_progress_at": 1_790_000_000, "expires_at": 1_790_086_400, "finalizing_at": None,
        "completed_at": 1_790_000_100, "failed_at": None, "expired_at": None, "cancelling_at": None,
        "cancelled_at": None, "metadata": {},
        "request_counts": {"total": OUTPUT_LINES, "completed": OUTPUT_LINES, "failed": 0},
    }  # fmt: skip
    if method == "GET":
        return json.dumps(batch).encode(), []
    units = {"input_tokens": INPUT_TOKENS * OUTPUT_LINES, "output_tokens": OUTPUT_TOKENS * OUTPUT_LINES}
    line = {"tag": "batch", "turn": 0, "provider": "openai", "model": _MODEL, "path": path, "outcome": "success",
            "id": "batch_standin", "stream": False, "units": units}  # fmt: skip
    return json.dumps({**batch, "status": "validating", "output_file_id": None}).encode(), [line]


def _output() -> bytes:
    usage = {
        "prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }  # fmt: skip
    lines = []
    for number in range(OUTPUT_LINES):
        message = {"role": "assistant", "content": "word"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": f"chatcmpl-batch-{number}", "object": "chat.completion", "created": 1_790_000_000}
        body = {**head, "model": _MODEL, "choices": [choice], "usage": usage}
        said = {"status_code": 200, "request_id": f"r{number}", "body": body}
        lines.append(json.dumps({"id": f"l{number}", "custom_id": f"c{number}", "response": said, "error": None}))
    return "\n".join(lines).encode()
