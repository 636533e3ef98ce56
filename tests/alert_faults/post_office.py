"""A mail server that misbehaves by seed: refuses for now or for good, answers late, takes a message and goes away
without saying so. What it took is on record, with the ids that it came under."""

from __future__ import annotations

import socketserver
import threading
import time
from collections import Counter
from email import message_from_bytes, policy
from random import Random
from typing import NamedTuple

AT_GREETING = ("hangs up at once", 0.03)
AT_RECIPIENTS = (("refuses for now", 0.12), ("refuses for good", 0.01), ("answers late", 0.05))
AT_MESSAGES = (("is full", 0.03), ("takes it and hangs up", 0.03), ("takes it and answers late", 0.05))
"""Mischief and how often."""


class Taken(NamedTuple):
    """One message that was taken: its Message-ID, to whom, the deliveries in it."""

    message: str
    to: str
    deliveries: tuple[str, ...]


class PostOffice(socketserver.ThreadingTCPServer):
    """SMTP as far as a sender needs it. `is_well`: from then on it does as it should."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self._choose = Random(seed)
        self._lock = threading.Lock()
        self.taken: list[Taken] = []
        self.did: Counter[str] = Counter()
        self.is_well = False

    @property
    def url(self) -> str:
        """As the settings name it."""
        return f"smtp://127.0.0.1:{self.server_address[1]}"

    def whim(self, *wanted: tuple[str, float]) -> str:
        """What it does now: one of some mischiefs with its chance, or nothing. Each of them once before chance decides,
        so that a short run has them all."""
        with self._lock:
            if not self.is_well:
                for name, _share in wanted:
                    if not self.did[name]:
                        self.did[name] += 1
                        return name
                chance = self._choose.random()
                for name, share in wanted:
                    if chance < share:
                        self.did[name] += 1
                        return name
                    chance -= share
            return ""

    def take(self, raw: bytes) -> None:
        """Put a message on record."""
        mail = message_from_bytes(raw, policy=policy.default)
        deliveries = tuple(str(one) for one in mail.get_all("X-Jangbu-Delivery") or ())
        with self._lock:
            self.taken.append(Taken(str(mail["Message-ID"]), str(mail["To"]), deliveries))

    def handle_error(self, *_words: object) -> None:
        """Senders are killed in the middle of a word."""


class _Session(socketserver.StreamRequestHandler):
    server: PostOffice

    def handle(self) -> None:
        if self.server.whim(AT_GREETING):
            return
        self._say("220 post.example")
        while line := self.rfile.readline():
            word = line.split(maxsplit=1)[0].upper() if line.strip() else b""
            if word in (b"EHLO", b"HELO"):
                self._say("250 post.example")
            elif word == b"RCPT":
                mischief = self.server.whim(*AT_RECIPIENTS)
                if mischief == "answers late":
                    time.sleep(0.05)
                self._say({"refuses for now": "450 later", "refuses for good": "550 no"}.get(mischief, "250 ok"))
            elif word == b"DATA":
                self._say("354 go on")
                if not self._data():
                    return
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _data(self) -> bool:
        raw = b""
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            raw += line
        mischief = self.server.whim(*AT_MESSAGES)
        if mischief == "is full":
            self._say("452 no room")
            return True
        self.server.take(raw)
        if mischief == "takes it and hangs up":
            return False
        if mischief == "takes it and answers late":
            time.sleep(0.1)
        self._say("250 taken")
        return True

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")
