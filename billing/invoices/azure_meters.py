"""Azure's meter names of models: "gpt 4.1 cached Inp glbl Tokens", "5.4 pp inp Gl 1M Tokens", "6-sol Cd Wr Std Gl".

A name is the model's words, then abbreviations of what was used, in no fixed order or spelling (retail price list).
The model ends at the first abbreviation; a word behind it that is not known makes the whole name unknown. Where a
token was served (global, data zone, region) and which prompt band it was in decide the price, not the unit.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_INPUT = {"inp", "inpt", "input"}
_OUTPUT = {"opt", "out", "outp", "outpt", "output"}
_CACHED = {"cached", "cd", "ccchd", "cchd", "cache"}
_WRITTEN = {"wr", "write"}
_MODALITIES = {"aud": "audio_", "audio": "audio_", "img": "image_", "image": "image_"}
_TIERS = {"pp": "priority", "priority": "priority", "batch": "batch", "flex": "flex", "std": "standard",
          "standard": "standard"}  # fmt: skip
_PLACES = {"glbl", "gl", "global", "dz", "dzone", "data", "zone", "regnl", "regional", "shortco", "longco"}
_SILENT = {"tokens", "token", "txt", "text"}
_SCALES = {"1k": "K", "1m": "M"}
_KNOWN = _INPUT | _OUTPUT | _CACHED | _WRITTEN | _PLACES | _SILENT | _MODALITIES.keys() | _TIERS.keys() | _SCALES.keys()


class AzureMeter(NamedTuple):
    """`model` as the name spells it, in lower case, joined by dashes. `scale`: K or M where the name says one."""

    model: str
    unit: str
    service_tier: str | None
    scale: str | None


@lru_cache(maxsize=4096)
def azure_meter(name: str) -> AzureMeter | None:
    """What a meter counts; None where any word is unknown, missing or contradicts another."""
    words = [word for word in re.split(r"[\s_-]+", name.lower()) if word]
    end = next((place for place, word in enumerate(words) if word in _KNOWN), len(words))
    model, rest = "-".join(words[:end]), set(words[end:])
    tiers = {_TIERS[word] for word in rest & _TIERS.keys()}
    modalities = {_MODALITIES[word] for word in rest & _MODALITIES.keys()}
    scales = {_SCALES[word] for word in rest & _SCALES.keys()}
    if not model or rest - _KNOWN or max(len(tiers), len(modalities), len(scales)) > 1:
        return None
    modality = next(iter(modalities), "")
    is_input, is_output = bool(rest & _INPUT), bool(rest & _OUTPUT)
    if is_input and is_output:
        return None
    if rest & _WRITTEN or rest & _CACHED:
        if is_output or (rest & _WRITTEN and not rest & _CACHED):
            return None
        unit = f"cache_{'write' if rest & _WRITTEN else 'read'}_{modality}tokens"
    elif is_input or is_output:
        unit = f"{modality}{'input' if is_input else 'output'}_tokens"
    else:
        return None
    return AzureMeter(model, unit, next(iter(tiers), None), next(iter(scales), None))
