"""Under which user the embedded PostgreSQL runs: it refuses root, so root lends it a user of its own."""

import os
import pwd
import stat
import subprocess
import sys
import time
from pathlib import Path

from jangbu.errors import SettingsError
from jangbu.services import private_files

# The name that the wheel's own starter uses.
ACCOUNT_NAME = "pgserver"
USERADD_TRIES = 5
USERADD_WAIT_S = 0.5


def account_for(directory: Path) -> str | None:
    """The user to run as: None (ourselves) unless we are root; then the owner of what exists, else our account.

    Raises:
        SettingsError: the cluster belongs to another user and we are not root, or no user can be made.
    """
    owner_uid = directory.stat().st_uid if directory.exists() else None
    if os.geteuid() != 0:
        if owner_uid is not None and owner_uid != os.geteuid():
            raise SettingsError(
                f"the embedded PostgreSQL in {directory} belongs to user {_name(owner_uid)}: "
                "run as that user, or choose another JANGBU_DATA_DIR"
            )
        return None
    parent_uid = directory.parent.stat().st_uid
    for uid in (owner_uid, parent_uid):
        if uid:
            return _name(uid)
    return _ensure_account()


def hand_over(directory: Path, account: str | None) -> None:
    """Make ``directory`` (mode 0700) the account's, and let the account reach it."""
    private_files.make_private_directory(directory)
    if account is not None:
        entry = pwd.getpwnam(account)
        os.chown(directory, entry.pw_uid, entry.pw_gid)
        make_reachable(directory.parent, entry.pw_uid)


def make_reachable(directory: Path, uid: int) -> None:
    """Let user ``uid`` pass through ``directory`` and what is above it: search only (o+x), and said aloud."""
    for step in (directory, *directory.parents):
        status = step.stat()
        owns = status.st_uid == uid and status.st_mode & stat.S_IXUSR
        if owns or status.st_mode & stat.S_IXOTH:
            continue
        step.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        sys.stderr.write(f"jangbu: {step} can now be passed through by other users (o+x): PostgreSQL needs it.\n")


def make_readable(directory: Path, uid: int) -> None:
    """Let user ``uid`` read and run what is installed under ``directory``."""
    make_reachable(directory, uid)
    for path in directory.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        wanted = stat.S_IMODE(mode) | stat.S_IROTH
        if mode & stat.S_IXUSR:
            wanted |= stat.S_IXOTH
        if wanted != stat.S_IMODE(mode):
            path.chmod(wanted)


def _ensure_account() -> str:
    """Our system user, made when missing. Another process may hold the password file's lock: try again."""
    told = ""
    for _ in range(USERADD_TRIES):
        if _exists(ACCOUNT_NAME):
            return ACCOUNT_NAME
        argv = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
        try:
            told = subprocess.run(argv, capture_output=True, text=True, check=False).stderr.strip()
        except FileNotFoundError:
            told = "there is no `useradd` here"
            break
        if not _exists(ACCOUNT_NAME):
            time.sleep(USERADD_WAIT_S)
    if _exists(ACCOUNT_NAME):
        return ACCOUNT_NAME
    raise SettingsError(
        f"PostgreSQL refuses to run as root and user {ACCOUNT_NAME} cannot be made ({told}): "
        "run as an ordinary user, make that user, or set JANGBU_DATABASE_URL"
    )


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise SettingsError(
            f"user id {uid} owns the data directory and has no name on this machine: PostgreSQL needs one; "
            "choose another JANGBU_DATA_DIR or set JANGBU_DATABASE_URL"
        ) from error
