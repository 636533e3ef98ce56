"""`usage`: events as contract.md, section 1 writes them. Fields that the contract does not know are dropped."""

from __future__ import annotations

from producers.adapters.base import Adapter, Options
from producers.contract import UsageEvent, decode_event


def adapt(line: bytes, options: Options) -> list[UsageEvent]:  # noqa: ARG001 - every event names its own source
    """One event a line. Raises EventRefused."""
    return [decode_event(line)]


def _redact(line: bytes) -> bytes | None:
    return line


ADAPTER = Adapter(adapt, _redact)
