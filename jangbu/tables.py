"""Rows as a person reads them on a terminal: lines of a table that fits, or else one record below the other. Pure.

Figures are never broken and have commas between thousands; long texts wrap where words, and parts of names, end. What
says nothing on a terminal is left out or shortened (columns without a value, digits of a hash, fractions of a second):
JSON and CSV hold all of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len, get_character_cell_size

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 2
TEXT_WIDTHS_MIN = (16, 13, 9)
"""How narrow a text column may become, tried in turn; in terminal cells (Hangul takes two)."""
HASH_DIGITS = 12
NOTHING = "(nothing)"
PLACES = frozenset({"id", "number", "offset", "partition", "place", "place_in_line"})
"""Figures that name something: they are copied into commands, and so have no commas."""
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?Z")
_FIGURE = re.compile(r"([+-]?)(\d+)(\.\d+)?")
_BREAKS = "_-/.:,;"


def terminal_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str], width: int
) -> tuple[list[str], list[str]]:
    """(heading lines, lines) of a table for so many terminal cells; without a heading where it is records."""
    if not rows:
        return [], [NOTHING]
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    names = [columns[place] for place in kept]
    cells = [[shown(columns[place], row[place], columns[place] in right) for place in kept] for row in rows]
    is_right = [name in right for name in names]
    heads = [name.replace("_", " ") for name in names]
    tried = (_widths(heads, cells, is_right, width, least) for least in TEXT_WIDTHS_MIN)
    widths = next((one for one in tried if one is not None), None)
    if widths is None:
        return [], _records(heads, cells, width)
    head = _row(heads, widths, is_right)
    rule = "─" * (sum(widths) + GAP * (len(widths) - 1))
    return [*head, rule], [line for row in cells for line in _row(row, widths, is_right)]


def shown(column: str, text: str, is_right: bool) -> str:
    """A cell's text for eyes."""
    if is_right:
        found = _FIGURE.fullmatch(text)
        if found is None or column in PLACES:
            return text
        return f"{found[1]}{int(found[2]):,}{found[3] or ''}"
    if _HASH.fullmatch(text):
        return f"{text[:HASH_DIGITS]}…"
    found = _TIME.fullmatch(text)
    return text if found is None else f"{found[1]} {found[2]}Z"


def _widths(
    heads: Sequence[str], cells: Sequence[Sequence[str]], is_right: Sequence[bool], width: int, text_min: int
) -> list[int] | None:
    """The width of each column, or None where they do not fit: figures whole, texts from `text_min` up."""
    natural, least = [], []
    for place, head in enumerate(heads):
        longest = max((cell_len(row[place]) for row in cells), default=0)
        word = max(cell_len(one) for one in head.split(" "))
        natural.append(min(max(longest, cell_len(head)), width))
        least.append(max(longest if is_right[place] else min(longest, text_min), word))
    room = width - GAP * (len(heads) - 1) - sum(least)
    if room < 0:
        return None
    widths = list(least)
    for _ in range(room):
        place = max(range(len(widths)), key=lambda at: natural[at] / max(widths[at], 1))
        if widths[place] >= natural[place]:
            break
        widths[place] += 1
    return widths


def _row(cells: Sequence[str], widths: Sequence[int], is_right: Sequence[bool]) -> list[str]:
    """The lines of one row."""
    wrapped = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for number in range(max(len(one) for one in wrapped)):
        parts = [one[number] if number < len(one) else "" for one in wrapped]
        padded = [_padded(*cell) for cell in zip(parts, widths, is_right, strict=True)]
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def _padded(text: str, width: int, is_right: bool) -> str:
    blanks = " " * max(0, width - cell_len(text))
    return blanks + text if is_right else text + blanks


def _records(heads: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Each row as a block of `name  value` lines, for what no width holds side by side."""
    left = max((cell_len(head) for head in heads), default=0) + GAP
    lines: list[str] = []
    for row in cells:
        for head, cell in zip(heads, row, strict=True):
            if cell:
                first, *others = wrap(cell, max(width - left, TEXT_WIDTHS_MIN[-1]))
                lines += [_padded(head, left, False) + first, *(" " * left + line for line in others)]
        lines.append("")
    return lines[:-1]


def wrap(text: str, width: int) -> list[str]:
    """A text in lines of at most so many cells (2 or more): broken at blanks, else within names, else where it must."""
    lines = []
    width = max(width, 2)
    rest = text
    while cell_len(rest) > width:
        end = _fitting(rest, width)
        blank = end if rest[end] == " " else rest.rfind(" ", 1, end) + 1
        place = blank or max(rest.rfind(sign, 1, end) for sign in _BREAKS) + 1 or end
        lines.append(rest[:place].rstrip(" "))
        rest = rest[place:].lstrip(" ")
    return [*lines, rest]


def _fitting(text: str, width: int) -> int:
    """How many characters fit, at least one."""
    used = 0
    for place, sign in enumerate(text):
        used += get_character_cell_size(sign)
        if used > width:
            return max(place, 1)
    return len(text)
