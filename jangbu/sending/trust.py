"""Whose certificates count. Read once: that takes longer than everything else that a message needs."""

from __future__ import annotations

import functools
import ssl


@functools.cache
def trusted() -> ssl.SSLContext:
    """Those of the system, or of SSL_CERT_FILE as it was when the first message was sent."""
    return ssl.create_default_context()
