"""Free TCP ports on loopback that stay free across a restart of the server that uses them."""

import contextlib
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORT_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Where the system's own range is not known: the lowest that Linux, macOS and IANA hand out is 32768.
EPHEMERAL_FIRST_DEFAULT = 32768
PORT_FIRST = 15000
TRIES_MAX = 200


def free_port() -> int:
    """A port that nothing listens on now, below the range from which the kernel serves outgoing connections.

    A port of that range could be taken by any client while its server is restarted, so that the server
    would not come back at the address its clients know.
    """
    last = max(_ephemeral_first() - 1, PORT_FIRST + 1000)
    chosen = random.SystemRandom()
    for _ in range(TRIES_MAX):
        port = chosen.randint(PORT_FIRST, last)
        if is_free(port):
            return port
    raise OSError(f"no free TCP port on {LOOPBACK} between {PORT_FIRST} and {last} in {TRIES_MAX} tries")


def free_ports(count: int) -> list[int]:
    """``count`` different free ports."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return sorted(ports)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A server sets this too: connections of a predecessor in TIME_WAIT do not keep it out.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def is_listening(port: int, host: str = LOOPBACK, timeout_s: float = 1.0) -> bool:
    """Whether something accepts connections on ``port``."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=timeout_s):
        return True
    return False


def _ephemeral_first() -> int:
    """The first port of the range for outgoing connections."""
    try:
        return int(PORT_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_FIRST_DEFAULT
