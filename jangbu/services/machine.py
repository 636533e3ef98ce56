"""How much memory and disk there is, the limits of a container included."""

import os
import shutil
from pathlib import Path

CGROUP_LIMIT_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_bytes() -> int:
    """Memory that this process may count on."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_container_limits()])


def disk_free_bytes(path: Path) -> int:
    """Free bytes on the disk of ``path``, for an ordinary user."""
    return shutil.disk_usage(path).free


def _container_limits() -> list[int]:
    """Limits of control groups (version 2, then 1); "max" means none."""
    limits = []
    for file in CGROUP_LIMIT_FILES:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return limits
