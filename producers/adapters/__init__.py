"""Lines that others write -> usage events: one module a format, chosen by name (contract.md, section 3).

An adapter takes one line and gives its events, or raises EventRefused; it never raises anything else for bad data.
What it gives has passed every rule of `producers.contract` but the time bounds, which need a clock.
"""

from __future__ import annotations

from typing import Final

from producers.adapters import bifrost, envoy, helicone, langfuse, litellm, openmeter, otel, portkey, response, usage
from producers.adapters.base import Adapter, Options

__all__ = ["ADAPTERS", "Adapter", "Options"]

ADAPTERS: Final[dict[str, Adapter]] = {
    "usage": usage.ADAPTER,
    "litellm": litellm.ADAPTER,
    "portkey": portkey.ADAPTER,
    "envoy": envoy.ADAPTER,
    "helicone": helicone.ADAPTER,
    "bifrost": bifrost.ADAPTER,
    "langfuse": langfuse.ADAPTER,
    "openmeter": openmeter.ADAPTER,
    "otel": otel.ADAPTER,
    "response": response.ADAPTER,
}
