"""A vendor of our own: speaks OpenAI's, Anthropic's and Google's wire formats and keeps its own bill.

`python vendor_standin.py PORT BILL_FILE [projects]`; each call is a line of the bill, written when its answer has been
sent (or broken off). `GET /bill` answers the lines so far; `GET /healthz` that it is there.
With `projects` each call of OpenAI's form is answered in a project of its own, named by its tag.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.gateway import vendor_batches
from tests.gateway import vendor_wires as wires

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_BY_PATH = {
    "/v1/chat/completions": ("openai", wires.openai_chat),
    "/v1/responses": ("openai", wires.openai_responses),
    "/v1/messages": ("anthropic", wires.anthropic_messages),
    "/v1/embeddings": ("openai", wires.openai_embeddings),
    "/v1/images/generations": ("openai", wires.openai_image),
    "/v1/audio/transcriptions": ("openai", wires.openai_transcription),
    "/v1/audio/speech": ("openai", wires.openai_speech),
}


class StreamCut(Exception):
    """Ends a stream in the middle: the server closes the connection."""


class Vendor:
    """An ASGI application."""

    def __init__(self, bill_path: Path | None, *, projects: bool = False) -> None:
        self._projects = projects
        self.bill: list[dict[str, Any]] = []
        self._seen: Counter[str] = Counter()
        self._number = 0
        self._file = None if bill_path is None else bill_path.open("a", encoding="utf-8", buffering=1)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        path = str(scope["path"])
        if path in ("/bill", "/healthz"):
            await _answer(send, 200, json.dumps(self.bill if path == "/bill" else {}).encode())
            return
        body = await _body(receive)
        if path.startswith(("/v1/files", "/v1/batches")):
            said, lines = vendor_batches.answer(scope["method"], path, body)
            for line in lines:
                self._charge(line)
            await _answer(send, 200, said)
            return
        await self._call(path, body, send)

    async def _call(self, path: str, body: bytes, send: Send) -> None:
        order = wires.Order.read(body.decode("utf-8", "replace"))
        turn = self._seen[order.tag]
        self._seen[order.tag] += 1
        self._number += 1
        number = self._number  # of this call: others come while it waits
        found = _find(path, body)
        if found is None:
            await _answer(send, 404, wires.error_body(404))
            return
        provider, model, make = found
        line = {"tag": order.tag, "turn": turn, "provider": provider, "model": model, "path": path}
        if order.delay_ms:
            await asyncio.sleep(order.delay_ms / 1000)
        if turn < len(order.fail) and order.fail[turn]:
            self._charge({**line, "outcome": "failure", "status": order.fail[turn], "units": {}})
            await _answer(send, order.fail[turn], wires.error_body(order.fail[turn]))
            return
        answer = make(order, number)
        line |= {"id": answer.answer_id, "stream": bool(answer.pieces), "units": answer.units}
        if not answer.pieces:
            self._charge({**line, "outcome": "success"})
            await _answer(send, 200, answer.body, answer.media, self._project(provider, order))
            return
        cut_after = None if order.cut is None else order.cut + 1
        if cut_after is not None:
            self._charge({**line, "outcome": "cut"})
        else:
            self._charge({**line, "outcome": "success"})
        await send(
            {"type": "http.response.start", "status": 200,
             "headers": [(b"content-type", answer.media.encode()), *self._project(provider, order)]}
        )
        for at, piece in enumerate(answer.pieces):
            if at == cut_after:
                raise StreamCut
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(order.pace_ms / 1000)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _project(self, provider: str, order: wires.Order) -> list[tuple[bytes, bytes]]:
        """The header in which OpenAI says whose call it was."""
        return [(b"openai-project", order.tag.encode())] if self._projects and provider == "openai" else []

    def _charge(self, line: dict[str, Any]) -> None:
        line["at"] = time.time()
        self.bill.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")


def _find(path: str, body: bytes) -> tuple[str, str, Callable[[wires.Order, int], wires.Answer]] | None:
    """(provider, model, how to answer) of a call."""
    model, colon, method = path.rpartition("/")[2].partition(":")
    if colon and method in ("generateContent", "streamGenerateContent"):
        stream = method.startswith("stream")
        return "google", model, lambda order, number: wires.google_generate(order, model, number, stream=stream)
    if path not in _BY_PATH:
        return None
    provider, make = _BY_PATH[path]
    try:
        asked = json.loads(body)
    except ValueError:  # a form with a file
        asked = {"model": "gpt-4o-transcribe"}
    return provider, asked["model"], lambda order, number: make(order, asked, number)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(
    send: Send, status: int, body: bytes, media: str = "application/json", more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", media.encode()), (b"content-length", str(len(body)).encode()), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until ended."""
    import uvicorn

    vendor = Vendor(Path(sys.argv[2]), projects="projects" in sys.argv[3:])
    # Connections stay open: one that is closed just as a busy proxy uses it is a call that never reaches the vendor.
    patience = {"timeout_keep_alive": 300, "backlog": 4_096}
    uvicorn.run(vendor, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical", access_log=False, **patience)


if __name__ == "__main__":
    main()
