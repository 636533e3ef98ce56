"""Many files in one zip whose bytes depend on nothing but names and contents. Pure.

Entries are in the order of their names, with one fixed time and mode; two runs give the same archive.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The first instant that a zip can say."""
FILE_MODE = 0o100644


def archive(files: Mapping[str, bytes]) -> bytes:
    """The zip of files by name."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = FILE_MODE << 16
            entry.create_system = 3  # as on Unix, wherever this runs
            made.writestr(entry, files[name])
    return target.getvalue()
