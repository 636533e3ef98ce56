"""The font of statements: NanumGothic (OFL) as the package koreanize-matplotlib carries it, and what it can show."""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from functools import lru_cache
from pathlib import Path

from billing.errors import BillingError

FAMILY = "NanumGothic"
FILES = ("NanumGothic.ttf", "NanumGothicBold.ttf")


@lru_cache(maxsize=1)
def font_folder() -> Path:
    """Where the font lies. The package is not imported: that would start matplotlib. Raises BillingError."""
    spec = importlib.util.find_spec("koreanize_matplotlib")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    for place in places:
        folder = Path(place) / "fonts"
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise BillingError(
        "the font of statements is missing: install the package koreanize-matplotlib (in jangbu[system])"
    )


@lru_cache(maxsize=1)
def covered() -> frozenset[int]:
    """Every code point that both weights can show as itself: the font draws a backslash as the sign of the won."""
    found = [code_points((font_folder() / name).read_bytes()) for name in FILES]
    return frozenset.intersection(*found) - {ord("\\")}


@lru_cache(maxsize=1)
def font_mark() -> str:
    """Twelve hex digits that tell this font from another edition of it."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((font_folder() / name).read_bytes())
    return digest.hexdigest()[:12]


def code_points(font: bytes) -> frozenset[int]:
    """The code points that a TrueType font maps to a glyph (its `cmap` tables of format 4 and 12)."""
    count = struct.unpack_from(">H", font, 4)[0]
    tables = {
        font[12 + 16 * place : 16 + 16 * place]: struct.unpack_from(">I", font, 12 + 16 * place + 8)[0]
        for place in range(count)
    }
    start = tables[b"cmap"]
    points: set[int] = set()
    for place in range(struct.unpack_from(">H", font, start + 2)[0]):
        platform, _, offset = struct.unpack_from(">HHI", font, start + 4 + 8 * place)
        if platform not in (0, 3):
            continue
        kind = struct.unpack_from(">H", font, start + offset)[0]
        if kind == 4:
            points |= _format_4(font, start + offset)
        elif kind == 12:
            points |= _format_12(font, start + offset)
    return frozenset(points)


def _format_4(font: bytes, start: int) -> set[int]:
    """Segments of 16-bit code points (OpenType, cmap format 4)."""
    segments = struct.unpack_from(">H", font, start + 6)[0] // 2
    places = [start + 14, start + 16 + 2 * segments, start + 16 + 4 * segments, start + 16 + 6 * segments]
    ends, starts, deltas, offsets = (struct.unpack_from(f">{segments}H", font, place) for place in places)
    points = set()
    for segment in range(segments):
        for point in range(starts[segment], ends[segment] + 1):
            if offsets[segment] == 0:
                glyph = (point + deltas[segment]) & 0xFFFF
            else:
                where = places[3] + 2 * segment + offsets[segment] + 2 * (point - starts[segment])
                glyph = struct.unpack_from(">H", font, where)[0]
            if glyph and point != 0xFFFF:
                points.add(point)
    return points


def _format_12(font: bytes, start: int) -> set[int]:
    """Groups of 32-bit code points (OpenType, cmap format 12)."""
    count = struct.unpack_from(">I", font, start + 12)[0]
    points: set[int] = set()
    for group in range(count):
        first, last, glyph = struct.unpack_from(">III", font, start + 16 + 12 * group)
        points.update(point for point in range(first, last + 1) if glyph + point - first)
    return points
