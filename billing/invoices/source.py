"""A file as somebody brought it: its name, its bytes, and the text they hold, as it is or packed with gzip.

Large files are read line by line (`lines`), so that neither their text nor what they unpack to stands in memory whole.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, cast

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, looks_like_json, pages_of
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_BYTES_MAX = 512 * 1024 * 1024
UNPACKED_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""A million lines of the widest cost report are a quarter of it; what unpacks to more is no invoice."""
LINE_BYTES_MAX = 1024 * 1024
BEGINNING_BYTES = 4096
_GZIP, _ZSTD, _PARQUET, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class SourceFile:
    """`name` is for sentences only: identity is the content's SHA-256. `zone` is the vendor's, for surfaces that write
    instants and not days. `surface` is the format that was asked for, where the file was fetched: a page without
    results does not tell by itself whose it is."""

    name: str
    content: bytes
    zone: str = "UTC"
    surface: str | None = None

    def __post_init__(self) -> None:
        if not self.content.strip():
            raise InvoiceRefused(
                Sentence("%(file)s is empty: export it again; nothing of this import was stored", file=self.name)
            )
        if len(self.content) > FILE_BYTES_MAX:
            raise InvoiceRefused(
                Sentence(
                    "%(file)s has %(bytes)s bytes, more than the %(most)s that an invoice may have: "
                    "export fewer days a file; nothing of this import was stored",
                    file=self.name,
                    bytes=len(self.content),
                    most=FILE_BYTES_MAX,
                )
            )

    @cached_property
    def sha256(self) -> str:
        """The content's address, 64 hexadecimal digits."""
        return sha256(self.content).hexdigest()

    @property
    def is_parquet(self) -> bool:
        """Whether the content is Parquet: only importers that say so read it (`parquet_rows`)."""
        return self.content[:4] == _PARQUET

    def in_zone(self, zone: str) -> SourceFile:
        """The same file, its days taken in a vendor's zone."""
        return self if zone == self.zone else replace(self, zone=zone)

    @cached_property
    def text(self) -> str:
        """The content as UTF-8, a byte-order mark taken off. Raises InvoiceRefused naming the first bad byte."""
        self._refuse_packed()
        content = self.content
        try:
            if content[:2] == _GZIP:
                content = self._opened().read(FILE_BYTES_MAX + 1)
            if len(content) > FILE_BYTES_MAX:
                raise InvoiceRefused(
                    Sentence(
                        "%(file)s unpacks to more than the %(most)s bytes that an invoice may have: "
                        "export fewer days a file; nothing of this import was stored",
                        file=self.name,
                        most=FILE_BYTES_MAX,
                    )
                )
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self._not_utf8(line, error.start, content[error.start : error.end]) from None
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from None

    @cached_property
    def beginning(self) -> str:
        """The first characters, to look at: what is not UTF-8 there is left out."""
        self._refuse_packed()
        try:
            raw = self._opened().read(BEGINNING_BYTES)
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from None
        return raw.decode("utf-8", "ignore").removeprefix("\ufeff")

    def lines(self) -> Iterator[str]:
        """Line by line with their ends, a byte-order mark taken off. Raises InvoiceRefused naming the first bad one.

        Read again from the start by each caller.
        """
        self._refuse_packed()
        opened, number, read = self._opened(), 0, 0
        try:
            while raw := opened.readline(LINE_BYTES_MAX + 1):
                number, read = number + 1, read + len(raw)
                if number == 1 and raw[:2] in _UTF_16:
                    raise self._not_utf8(number, 0, raw[:2])
                if len(raw) > LINE_BYTES_MAX or read > UNPACKED_BYTES_MAX or b"\0" in raw:
                    raise self._beyond(number, raw)
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                yield raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._not_utf8(number, error.start, error.object[error.start : error.end]) from None
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from None

    def blocks(self, size: int) -> Iterator[bytes]:
        """The unpacked content, a byte-order mark taken off, in blocks of about `size` bytes that end as lines do.

        Raises InvoiceRefused where it cannot be unpacked; what the bytes are is not looked at (`lines` does).
        """
        self._refuse_packed()
        opened, rest = self._opened(), b""
        try:
            if (first := opened.read(3)) != b"\xef\xbb\xbf":
                rest = first
            while chunk := opened.read(size):
                whole = rest + chunk
                end = whole.rfind(b"\n") + 1
                if not end and len(whole) > LINE_BYTES_MAX:
                    yield whole  # no line of an invoice: whoever reads lines refuses it
                    return
                if end:
                    yield whole[:end]
                rest = whole[end:]
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from None
        if rest:
            yield rest

    def _opened(self) -> BinaryIO:
        raw = io.BytesIO(self.content)
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if self.content[:2] == _GZIP else raw

    def _refuse_packed(self) -> None:
        packed = {_ZSTD: "zstd", _ZIP: "zip"}.get(self.content[:4])
        if packed is not None:
            raise InvoiceRefused(
                Sentence(
                    "%(file)s is compressed with %(packed)s: unpack it first; nothing of this import was stored",
                    file=self.name,
                    packed=packed,
                )
            )
        if self.is_parquet:
            raise InvoiceRefused(
                Sentence(
                    "%(file)s is Parquet, which this format is not read from: export it as CSV (gzip is "
                    "read as it is), or as JSON lines; nothing of this import was stored",
                    file=self.name,
                )
            )

    def _damaged(self, error: Exception) -> InvoiceRefused:
        return InvoiceRefused(
            Sentence(
                "%(file)s cannot be unpacked (%(error)s): it is cut or damaged, "
                "fetch it again; nothing of this import was stored",
                file=self.name,
                error=error,
            )
        )

    def _not_utf8(self, line: int, byte: int, found: bytes) -> InvoiceRefused:
        remedy = "the file is not UTF-8; export it again or convert it"
        return InvoiceRefused.at(self.name, f"line {line}", Sentence("byte %(byte)s", byte=byte), found.hex(), remedy)

    def _beyond(self, line: int, raw: bytes) -> InvoiceRefused:
        if b"\0" in raw:
            return InvoiceRefused.at(
                self.name,
                f"line {line}",
                Sentence("byte %(byte)s", byte=raw.index(0)),
                "00",
                "a text holds no such byte; export it again",
            )
        what = Sentence("a line") if len(raw) > LINE_BYTES_MAX else Sentence("an unpacked file")
        most = LINE_BYTES_MAX if len(raw) > LINE_BYTES_MAX else UNPACKED_BYTES_MAX
        return InvoiceRefused(
            Sentence(
                "%(file)s, line %(line)s: %(what)s of an invoice has at most %(most)s bytes, this has "
                "more: it is no export that is known; nothing of this import was stored",
                file=self.name,
                line=line,
                what=what,
                most=most,
            )
        )

    @cached_property
    def first_page(self) -> Json | None:
        """The first object of a JSON file, decoded once for all who want to recognise it; None where it is no JSON."""
        return next(pages_of(self), ("", {}))[1] if looks_like_json(self) else None
