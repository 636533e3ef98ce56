"""Names of files for departments whose codes strangers chose: no path, no reserved name, no two alike. Pure.

`2026-10-department-D012.pdf`, `2026-10-unattributed.pdf`, `2026-10-organisation.pdf`. A code that is not made of
letters, digits, Hangul, dash and underscore, or that differs from another only by case, gets eight hex digits of its
SHA-256.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ORGANISATION = "organisation"
_UNSAFE = re.compile(r"[^A-Za-z0-9가-힣_-]+")
CODE_CHARACTERS_MAX = 40


def file_stems(month: str, departments: Iterable[str | None]) -> dict[str | None, str]:
    """The stem of each department's file, by code; None is the unattributed account."""
    safe = {code: _safe(code) for code in departments if code is not None}
    many = Counter(name.casefold() for name in safe.values())
    stems: dict[str | None, str] = {None: f"{month}-unattributed"}
    for code, name in safe.items():
        is_plain = name == code and many[name.casefold()] == 1
        stems[code] = f"{month}-department-{name}" + ("" if is_plain else f"-{_mark(code)}")
    return stems


def _safe(code: str) -> str:
    return _UNSAFE.sub("_", unicodedata.normalize("NFC", code))[:CODE_CHARACTERS_MAX]


def _mark(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()[:8]
