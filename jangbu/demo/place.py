"""Where a demo stands: a directory of its own, made or emptied by a demo and by nobody else."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from jangbu.errors import RefusedByStateError, UsageError

MARKER = ".jangbu-demo"
MARKER_TEXT = "This directory was made by `jangbu demo`. The next demo here deletes in/, out/, log/ and data/.\n"
DEFAULT_NAME = "jangbu-demo"


@dataclass(frozen=True, slots=True)
class Place:
    """The demo's directories; `data` is the data directory of everything that runs."""

    root: Path

    @property
    def inputs(self) -> Path:
        """What the demo's city hands over: usage, roster, prices, rates, the vendor's bill."""
        return self.root / "in"

    @property
    def outputs(self) -> Path:
        """What came out: the JSON documents of the commands."""
        return self.root / "out"

    @property
    def log(self) -> Path:
        """What the commands and services said."""
        return self.root / "log"

    @property
    def data(self) -> Path:
        """The data directory: database, outbox."""
        return self.root / "data"

    @property
    def parts(self) -> tuple[Path, ...]:
        """All that a demo makes and deletes."""
        return self.inputs, self.outputs, self.log, self.data


def check_place(root: Path, real_data: Path) -> Place:
    """The place, if a demo may stand there; nothing is changed. `real_data` is the data directory of real use.

    Raises UsageError or RefusedByStateError with what to do.
    """
    place = Place(root.absolute())
    resolved, real = place.root.resolve(), real_data.resolve()
    if resolved == real or real in resolved.parents:
        raise UsageError(f"--dir is {root}, which is for real data: name another directory, such as {DEFAULT_NAME}")
    if place.root.exists() and not place.root.is_dir():
        raise UsageError(f"--dir is {root}, which is a file: name a directory")
    if place.root.is_dir() and not (place.root / MARKER).is_file() and any(place.root.iterdir()):
        raise RefusedByStateError(
            f"{root} holds what no demo has made, and a demo starts from empty: name another directory with --dir"
        )
    return place


def make_empty(place: Place) -> None:
    """Delete what an earlier demo made here, and make the directories. Call `check_place` before."""
    place.root.mkdir(parents=True, exist_ok=True)
    (place.root / MARKER).write_text(MARKER_TEXT, encoding="utf-8")
    for part in place.parts:
        if part.is_symlink():
            part.unlink()
        elif part.exists():
            shutil.rmtree(part)
    for part in (place.inputs, place.outputs, place.log):
        part.mkdir()
