"""One name for what both sides call by a model name: equal but for case, or one of them without its date.

A vendor may bill `gpt-4o` where the gateway logged `gpt-4o-2024-08-06`, or the other way about. Only names without a
twin on the other side are joined so, and only a dated name with an undated one: two different snapshots of one family
are two models, and joining them would hide use that passed the gateway by. A vendor may also use both forms at once,
the undated one in its costs and the dated one in its usage: they are one where only one snapshot of the family is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.models import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def joined_names(ours: Iterable[str], vendors: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """For each side, name as written -> name to group by (in lower case)."""
    our_names, vendor_names = set(ours), set(vendors)
    ours_only = {name.lower() for name in our_names} - {name.lower() for name in vendor_names}
    vendors_only = {name.lower() for name in vendor_names} - {name.lower() for name in our_names}
    shared = _only_snapshots({name.lower() for name in our_names | vendor_names}, ours_only | vendors_only)
    return (
        {name: _joined(shared.get(name.lower(), name.lower()), ours_only, vendors_only) for name in our_names},
        {name: _joined(shared.get(name.lower(), name.lower()), vendors_only, ours_only) for name in vendor_names},
    )


def _joined(name: str, alone_here: set[str], alone_there: set[str]) -> str:
    family = family_of(name)
    return family if name in alone_here and family is not None and family in alone_there else name


def _only_snapshots(names: set[str], alone: set[str]) -> dict[str, str]:
    """Snapshot -> family, where both sides name the snapshot, no other of its family, and one side the family too."""
    snapshots: dict[str, list[str]] = {}
    for name in names:
        family = family_of(name)
        if family is not None and family in alone:
            snapshots.setdefault(family, []).append(name)
    return {found[0]: family for family, found in snapshots.items() if len(found) == 1 and found[0] not in alone}
