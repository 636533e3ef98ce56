"""What a FOCUS row of use is about: model, unit and tier, out of SkuPriceDetails, SkuMeter and SkuId.

SkuPriceDetails is an object of key and value. The names for tokens are proposals that no release has yet, so issuers
write them with and without `x_` and in two generations (TokenDirection and TokenType, TokenCacheAction and
CacheAction). A row without any of them is read by its meter's words.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from billing.invoices.bedrock_meters import bedrock_meter
from billing.invoices.errors import InvoiceRefused
from billing.invoices.texts import text_of
from billing.invoices.token_meters import TIERS, folded, meter_of
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.invoices.source import SourceFile

_MODEL = ("ModelId", "ModelName")
_DIRECTION = ("TokenDirection", "TokenType")
_CACHE = ("TokenCacheAction", "CacheAction")
_TIER = ("ServiceTier",)
_BY_DETAILS = {
    ("input", ""): "input_tokens",
    ("input", "uncached"): "input_tokens",
    ("input", "read"): "cache_read_tokens",
    ("input", "write"): "cache_write_tokens",
    ("output", ""): "output_tokens",
    ("output", "uncached"): "output_tokens",
}


class Sku(NamedTuple):
    """What was used. The unit is folded (`token_meters.FOLDS`)."""

    model: str
    unit: str
    service_tier: str | None


def sku_of(source: SourceFile, place: str, row: Mapping[str, str]) -> Sku | None:
    """What a row of use is about; None where nothing of it tells a unit.

    Raises InvoiceRefused where details and meter contradict each other, a tier is unknown, or no model is told.
    """
    details = _details(row.get("SkuPriceDetails", ""))
    if details is None:
        raise InvoiceRefused.at(
            source.name, place, "SkuPriceDetails", row["SkuPriceDetails"], "this is a JSON object of texts, or empty"
        )
    text = next((row[name] for name in ("SkuMeter", "x_SkuMeterName", "x_UsageType") if row.get(name)), "")
    meter = meter_of(text)
    usage_type = bedrock_meter(text) if meter is None and text else None
    by_meter = folded(meter.unit) if meter else usage_type.unit if usage_type else None
    told = _by_details(source, place, details)
    if told is None and by_meter is None:
        return None
    if told is not None and by_meter is not None and _plain(by_meter) != told:
        raise InvoiceRefused.at(
            source.name,
            place,
            "SkuMeter",
            text,
            Sentence("SkuPriceDetails says %(told)s: one of them is wrong, ask the issuer", told=told),
        )
    model = _first(details, _MODEL) or (usage_type.model if usage_type else None) or row.get("SkuId") or None
    model = text_of(source.name, place, "SkuPriceDetails", model)
    unit = by_meter or told
    assert unit is not None
    if model is None:
        raise InvoiceRefused.at(
            source.name, place, "SkuPriceDetails", row.get("SkuPriceDetails") or None,
            "ModelId in it tells the model, or SkuId; ask the issuer for one of them",
        )  # fmt: skip
    spoken = meter.service_tier if meter else usage_type.service_tier if usage_type else None
    return Sku(model, unit, _tier(source, place, details) or spoken)


def _tier(source: SourceFile, place: str, details: Mapping[str, str]) -> str | None:
    told = _first(details, _TIER)
    if told is None:
        return None
    if told.lower() not in TIERS:
        raise InvoiceRefused.at(
            source.name,
            place,
            "SkuPriceDetails ServiceTier",
            told,
            Sentence("unknown; known are %(known)s", known=", ".join(TIERS)),
        )
    return TIERS[told.lower()]


def _by_details(source: SourceFile, place: str, details: Mapping[str, str]) -> str | None:
    direction = _first(details, _DIRECTION)
    if direction is None:
        return None
    action = _first(details, _CACHE) or ""
    unit = _BY_DETAILS.get((direction.lower(), action.lower()))
    if unit is None:
        raise InvoiceRefused.at(
            source.name, place, "SkuPriceDetails TokenDirection", f"{direction} {action}".strip(),
            "known are Input and Output, with Uncached, Read or Write",
        )  # fmt: skip
    return unit


def _plain(unit: str) -> str:
    """A unit without its modality, which details do not tell."""
    for modality in ("audio_", "image_", "video_"):
        unit = unit.replace(modality, "")
    return unit


def _first(details: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        found = details.get(name) or details.get(f"x_{name}")
        if found:
            return found
    return None


@lru_cache(maxsize=4096)
def _details(text: str) -> Mapping[str, str] | None:
    """The object's texts; {} where the cell is empty, None where it is no object."""
    if not text or text.lower() == "null":
        return {}
    try:
        found = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {name: value.strip() for name, value in found.items() if isinstance(value, str)}
