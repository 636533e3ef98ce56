"""Letters and reports as PDF or pictures: PDF/A-2a, tagged, the same bytes for the same content and moment."""

from __future__ import annotations

import json
from calendar import timegm
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from billing.outputs import font

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import typst

TEMPLATE = Path(__file__).with_name("paper.typ")
STANDARD: Literal["a-2a"] = "a-2a"


def paper_pdf(page: Mapping[str, Any], moment: datetime) -> bytes:
    """A page's data (paper.typ) as PDF; `moment` is the creation time that it carries."""
    made = _compile(page, moment, "pdf")
    assert isinstance(made, bytes)
    return made


def paper_pictures(page: Mapping[str, Any], moment: datetime, dots_per_inch: int = 110) -> list[bytes]:
    """Each page as PNG, for eyes."""
    made = _compile(page, moment, "png", dots_per_inch)
    return made if isinstance(made, list) else [made]


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, last_bold: bool = False) -> Any:
    """A table of a page: the first `left` columns are words, the others figures."""
    count = len(head)
    return {
        "title": title,
        "size": 70 if count > 6 else 80,
        "widths": [1] + [0] * (count - 1),
        "align": ["left"] * left + ["right"] * (count - left),
        "head": list(head),
        "rows": [
            {"bold": last_bold and place == len(rows) - 1, "cells": list(row)} for place, row in enumerate(rows)
        ],
    }


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    import typst

    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font.font_folder())]
    )


def _compile(
    page: Mapping[str, Any], moment: datetime, form: Literal["pdf", "png"], dots_per_inch: int | None = None
) -> bytes | list[bytes]:
    """Typst is imported here: only who makes pages needs it."""
    import typst

    made: bytes | list[bytes] = typst.compile(
        TEMPLATE.read_bytes(),
        format=form,
        ppi=dots_per_inch,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(page, ensure_ascii=False)},
        pdf_standards=[STANDARD] if form == "pdf" else [],
        timestamp=timegm(moment.utctimetuple()),
    )
    return made
