"""Files and directories that nobody but us may read, written whole or not at all."""

import os
import tempfile
from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PASSABLE_DIRECTORY = 0o711


def make_private_directory(path: Path) -> Path:
    """Make ``path`` with mode 0700; one that exists is narrowed to it. Returns it."""
    path.mkdir(parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(PRIVATE_DIRECTORY)
    return path


def make_data_directory(path: Path) -> Path:
    """Make a data directory that others cannot list; one that exists stays as it is. Returns it.

    Made by root it can be passed through, because root's PostgreSQL runs as another user.
    """
    path.mkdir(mode=PRIVATE_DIRECTORY if os.geteuid() else PASSABLE_DIRECTORY, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Write ``text`` with mode 0600 by renaming a finished file; it belongs to the directory's owner.

    The owner matters when root runs a command in another user's data directory: that user must go on afterwards.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        give_to_owner_of(Path(temporary), path.parent)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def give_to_owner_of(path: Path, model: Path) -> None:
    """As root, let ``path`` belong to whom ``model`` belongs; otherwise nothing to do."""
    if os.geteuid() == 0:
        owner = model.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
