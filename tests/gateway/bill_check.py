"""The vendor's bill against our events, call by call, and token by token where the vendor told the tokens. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

Tally = dict[str, Counter[str]]


def billed(bill: list[dict[str, Any]], *, skip: frozenset[str] = frozenset()) -> dict[str, Tally]:
    """tag -> outcome -> counts, `calls` and units; units of what broke off are not told to the gateway."""
    found: dict[str, Tally] = defaultdict(lambda: defaultdict(Counter))
    for line in bill:
        if line["tag"] not in skip:
            tally = found[line["tag"]][line["outcome"]]
            tally["calls"] += 1
            if line["outcome"] == "success":
                tally.update(line["units"])
    return plain(found)


def counted(events: list[dict[str, Any]], *, skip: frozenset[str] = frozenset()) -> dict[str, Tally]:
    """The same from our events; only counts that the vendor told are taken as tokens."""
    found: dict[str, Tally] = defaultdict(lambda: defaultdict(Counter))
    for event in events:
        data = event["data"]
        tag = (data.get("tags") or {}).get("call", "untagged")
        if tag in skip:
            continue
        tally = found[tag][data.get("status", "success")]
        tally["calls"] += data["units"].get("requests", 0)
        if data.get("usage_source", "provider") == "provider":
            tally.update({unit: count for unit, count in data["units"].items() if unit != "requests" and count})
    return plain(found)


def plain(found: dict[str, Tally]) -> dict[str, Tally]:
    """Without the machinery of defaults, so that equality is equality."""
    return {tag: dict(tallies) for tag, tallies in found.items()}


def differences(bill: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[str]:
    """One line for each tag whose bill is not our count; empty where all agree."""
    ours, theirs = counted(events), billed(bill)
    return [
        f"{tag}: the vendor bills {theirs.get(tag)}, we count {ours.get(tag)}"
        for tag in sorted({*ours, *theirs})
        if ours.get(tag) != theirs.get(tag)
    ]
