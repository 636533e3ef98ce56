"""A file as somebody brought it: its name, its bytes, and the text they hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, looks_like_json, pages_of

FILE_BYTES_MAX = 512 * 1024 * 1024


@dataclass(frozen=True)
class SourceFile:
    """`name` is for sentences only: identity is the content's SHA-256."""

    name: str
    content: bytes

    def __post_init__(self) -> None:
        if not self.content.strip():
            raise InvoiceRefused(f"{self.name} is empty: export it again; nothing of this import was stored")
        if len(self.content) > FILE_BYTES_MAX:
            raise InvoiceRefused(
                f"{self.name} has {len(self.content)} bytes, more than the {FILE_BYTES_MAX} that an invoice may have: "
                "export fewer days a file; nothing of this import was stored"
            )

    @cached_property
    def sha256(self) -> str:
        """The content's address, 64 hexadecimal digits."""
        return sha256(self.content).hexdigest()

    @cached_property
    def text(self) -> str:
        """The content as UTF-8, a byte-order mark taken off. Raises InvoiceRefused naming the first bad byte."""
        if self.content[:2] == b"\x1f\x8b" or self.content[:4] == b"\x28\xb5\x2f\xfd":
            raise InvoiceRefused(f"{self.name} is compressed: unpack it first; nothing of this import was stored")
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.content.count(b"\n", 0, error.start) + 1
            raise InvoiceRefused.at(
                self.name,
                f"line {line}",
                f"byte {error.start}",
                self.content[error.start : error.end].hex(),
                "the file is not UTF-8; export it again or convert it",
            ) from None

    @cached_property
    def first_page(self) -> Json | None:
        """The first object of a JSON file, decoded once for all who want to recognise it; None where it is no JSON."""
        return next(pages_of(self), ("", {}))[1] if looks_like_json(self) else None
