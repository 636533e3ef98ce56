"""What a vendor's answer says about its use, and the one error that refuses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from decimal import Decimal

_SHOWN_LENGTH_MAX = 60
_SHOWN_BITS_MAX = 256


class UsageRefused(ValueError):
    """A body says something that cannot be counted; nothing of it was.

    `field` is the path inside the body (`usage.prompt_tokens`), `value` what stands there.
    """

    def __init__(self, where: str, value: Any, reason: str) -> None:
        self.field = where
        self.value = value
        super().__init__(
            f"{where} is {shown(value)}: {reason}. "
            f"Nothing of this answer was counted; correct the recorded answer and bring it again."
        )


def shown(value: Any) -> str:
    """A value as an error may show it: short, and never failing (an integer of 5,000 digits has no text)."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS_MAX:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else str(value)
    return text if len(text) <= _SHOWN_LENGTH_MAX else f"{text[:_SHOWN_LENGTH_MAX]}…"


@dataclass(frozen=True, slots=True)
class Usage:
    """The disjoint units of one answer and what the vendor says beside them.

    units: whole, non-negative, only what the body says (an explicit 0 is 0); `requests` is always there and 1.
    usage_source: `missing` where the body tells no count at all, so that it is never taken for 0.
    service_tier: standard, batch, priority, flex; None where the body names none or one that the contract lacks (then
        the vendor's word is kept in `tags["vendor_service_tier"]`).
    reported_cost: what the vendor says that it charged, (amount, currency code), exact; never a price of ours.
    region: where the vendor says that the model ran (Anthropic's `inference_geo`).
    tags: what changes a price and has no field in the event: `vendor_service_tier`, `vendor_speed`.
    """

    units: dict[str, int]
    usage_source: Literal["provider", "missing"]
    service_tier: str | None = None
    reported_cost: tuple[Decimal, str] | None = None
    region: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
