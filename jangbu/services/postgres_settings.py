"""The settings of the embedded PostgreSQL, by the machine's memory and disk. Numbers in, settings out."""

import math

MIB = 1024 * 1024
GIB = 1024 * MIB
# The wheel's defaults (128 MiB of buffers, 1 GiB of WAL between checkpoints) make every first touch of a page after a
# checkpoint write 8 KB of WAL; measured on an ingest of events, 8 GiB of WAL cost nothing and checkpoints rarely come.
SHARED_BUFFERS_SHARE = 8
SHARED_BUFFERS_MIN = 64 * MIB
SHARED_BUFFERS_MAX = 2 * GIB
WAL_MAX = 8 * GIB
WAL_MIN = 1 * GIB
# WAL may fill this part of what is free on the disk.
WAL_DISK_SHARE = 8
CONNECTIONS_MAX = 100
LOCAL_FILE = "local.conf"
# The kernel's limit for a Unix socket's path is 107 bytes on Linux and 103 on macOS; the name is `.s.PGSQL.PORT`.
SOCKET_PATH_BYTES_MAX = 103
SOCKET_NAME_BYTES_MAX = len("/.s.PGSQL.65535")


def server_settings(
    *, memory_bytes: int, disk_free_bytes: int, port: int, socket_directory: str, durable: bool = True
) -> dict[str, str]:
    """postgresql.conf as name and value.

    Args:
        memory_bytes: of the machine or of the container we are in.
        disk_free_bytes: where the data directory lies.
        socket_directory: empty for none.
        durable: False gives up safety against a power cut (for tests only).
    """
    buffers = _clamp(memory_bytes // SHARED_BUFFERS_SHARE, SHARED_BUFFERS_MIN, SHARED_BUFFERS_MAX)
    wal = _clamp(disk_free_bytes // WAL_DISK_SHARE, WAL_MIN, WAL_MAX)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": socket_directory,
        "unix_socket_permissions": "0700",
        "max_connections": str(CONNECTIONS_MAX),
        "password_encryption": "scram-sha-256",
        "shared_buffers": _mib(buffers),
        "effective_cache_size": _mib(memory_bytes // 2),
        "work_mem": _mib(_clamp(memory_bytes // 512, 8 * MIB, 64 * MIB)),
        "maintenance_work_mem": _mib(_clamp(memory_bytes // 32, 64 * MIB, 512 * MIB)),
        "max_wal_size": _mib(wal),
        "min_wal_size": _mib(wal // 8),
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "synchronous_commit": "on",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_checkpoints": "off",
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    return settings


def configuration_text(settings: dict[str, str]) -> str:
    """postgresql.conf. What a user adds goes into LOCAL_FILE beside it and wins; that file must exist."""
    lines = [f"# Written by jangbu at each start, by this machine's memory; put your own settings into {LOCAL_FILE}."]
    lines += [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]
    return "\n".join([*lines, f"include = '{LOCAL_FILE}'", ""])


def access_text() -> str:
    """pg_hba.conf: a password on loopback and on the socket, nothing else; the superuser has none and stays out."""
    return "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"


def socket_directory_for(directory: str) -> str:
    """``directory`` where a socket's path in it is short enough for the kernel, else empty (TCP alone)."""
    length = len(directory.encode()) + SOCKET_NAME_BYTES_MAX
    # A comma would be read as a list of directories.
    return directory if length <= SOCKET_PATH_BYTES_MAX and "," not in directory else ""


def _clamp(value: int, lowest: int, highest: int) -> int:
    return min(max(value, lowest), highest)


def _mib(size_bytes: int) -> str:
    return f"{math.floor(size_bytes / MIB)}MB"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
