"""Where a demo stands: a directory of its own, made or emptied by a demo and by nobody else."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jangbu.errors import RefusedByStateError, UsageError
from jangbu.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.settings import Settings

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


@contextmanager
def occupied(place: Place) -> Iterator[None]:
    """The place, emptied of what an earlier demo made here, for this demo alone. Call `check_place` before.

    Raises RefusedByStateError where another demo or any other command of ours is at work there.
    """
    from jangbu.services import describe

    place.root.mkdir(parents=True, exist_ok=True)
    with (place.root / MARKER).open("a+", encoding="utf-8") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedByStateError(f"another demo runs in {place.root}: wait for it, or use another --dir") from None
        working = describe(demo_settings(place))["members"] if place.data.exists() else []
        if working:
            raise RefusedByStateError(
                f"`{working[0]['command']}` runs in {place.data} (process {working[0]['pid']}): stop it first, "
                "or use another --dir"
            )
        marker.truncate(0)
        marker.write(MARKER_TEXT)
        marker.flush()
        _make_empty(place)
        yield


def demo_settings(place: Place) -> Settings:
    """The settings of everything that runs in a place: defaults, and its data directory."""
    return load({"data_dir": str(place.data)}, {}, place.root)


def _make_empty(place: Place) -> None:
    for part in place.parts:
        if part.is_symlink():
            part.unlink()
        elif part.exists():
            shutil.rmtree(part)
    for part in (place.inputs, place.outputs, place.log):
        part.mkdir()
