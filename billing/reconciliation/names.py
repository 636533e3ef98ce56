"""One name for what both sides call by a model name: equal but for case, or one of them without its date.

A vendor may bill `gpt-4o` where the gateway logged `gpt-4o-2024-08-06`, or the other way about. Only names without a
twin on the other side are joined so, and only a dated name with an undated one: two different snapshots of one family
are two models, and joining them would hide use that passed the gateway by. A vendor may also use both forms at once,
the undated one in its costs and the dated one in its usage: they are one where only one snapshot of the family is seen.
What is still without a twin is joined where only spelling differs, and one name alone fits: "Claude Sonnet 4.6" is
`claude-sonnet-4-6`, and so is `us.anthropic.claude-sonnet-4-6-v1:0`, the id under which Bedrock is called.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from billing.models import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_BEDROCK_ID = re.compile(r"(?:(?:us|eu|apac|jp|au|ca|global)\.)?[a-z0-9]+\.(?P<model>[a-z].*?)(?:-v\d+(?::\d+)?)?")
"""A model's id in Bedrock: a place, the publisher, the model, a version."""


def joined_names(ours: Iterable[str], vendors: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """For each side, name as written -> name to group by (in lower case)."""
    our_names, vendor_names = set(ours), set(vendors)
    ours_only = {name.lower() for name in our_names} - {name.lower() for name in vendor_names}
    vendors_only = {name.lower() for name in vendor_names} - {name.lower() for name in our_names}
    shared = _only_snapshots({name.lower() for name in our_names | vendor_names}, ours_only | vendors_only)
    mine, theirs = (
        {name: _joined(shared.get(name.lower(), name.lower()), ours_only, vendors_only) for name in our_names},
        {name: _joined(shared.get(name.lower(), name.lower()), vendors_only, ours_only) for name in vendor_names},
    )
    alike = _spelled_alike(set(mine.values()) - set(theirs.values()), set(theirs.values()) - set(mine.values()))
    return mine, {name: alike.get(group, group) for name, group in theirs.items()}


def _spelled_alike(ours: set[str], vendors: set[str]) -> dict[str, str]:
    """The vendor's name -> ours, where but for spelling, or for spelling and the date of one, each has one twin."""
    found: dict[str, str] = {}
    for spelled in (_plain, _plain_family):
        left, right = (_by_spelling(names, spelled) for names in (ours - set(found.values()), vendors - found.keys()))
        found |= {
            right[text][0]: left[text][0]
            for text in left.keys() & right.keys()
            if len(left[text]) == len(right[text]) == 1 and text in {_plain(left[text][0]), _plain(right[text][0])}
        }
    return found


def _by_spelling(names: set[str], spelled: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(spelled(name), []).append(name)
    return groups


def _plain(name: str) -> str:
    """A name's letters and digits in lower case, parted by dashes."""
    found = _BEDROCK_ID.fullmatch(name.lower())
    return re.sub(r"[^a-z0-9]+", "-", found["model"] if found else name.lower()).strip("-")


def _plain_family(name: str) -> str:
    plain = _plain(name)
    return family_of(plain) or plain


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
