"""Receivers of alerts for tests, on this machine: a mail server and a web server that take, refuse, delay or vanish."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import EmailMessage


class MailBox(socketserver.ThreadingTCPServer):
    """Speaks SMTP as far as a sender needs it. `answers` holds codes for the next recipients, else 250, and 550 for
    those whose mailbox is `gone`."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailSession)
        self.mails: list[EmailMessage] = []
        self.answers: list[int] = []
        self.gone: set[str] = set()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _MailSession(socketserver.StreamRequestHandler):
    server: MailBox

    def handle(self) -> None:
        self._say("220 box.example")
        while line := self.rfile.readline():
            word = line.split(maxsplit=1)[0].upper() if line.strip() else b""
            if word in (b"EHLO", b"HELO"):
                self._say("250 box.example")
            elif word == b"RCPT":
                is_gone = any(f"<{one}>".encode() in line for one in self.server.gone)
                code = self.server.answers.pop(0) if self.server.answers else 550 if is_gone else 250
                self._say(f"{code} recipient")
            elif word == b"DATA":
                self._say("354 go on")
                self._take()
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _take(self) -> None:
        raw = b""
        while (line := self.rfile.readline()) != b".\r\n":
            raw += line
        self.server.mails.append(message_from_bytes(raw, policy=policy.default))  # type: ignore[arg-type]
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class WebHook(ThreadingHTTPServer):
    """Keeps what is posted. `answers` holds statuses for the next requests, else 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook/s3cret-path"


class _Hook(BaseHTTPRequestHandler):
    server: WebHook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((dict(self.headers.items()), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Quiet."""


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    """A server in a thread, ended afterwards."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
