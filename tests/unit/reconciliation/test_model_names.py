"""One name for a model that both sides spell in their own way, and none for two snapshots."""

from __future__ import annotations

import pytest

from billing.reconciliation.names import joined_names

A, B, FAMILY = "claude-haiku-4-5-20251001", "claude-haiku-4-5-20260301", "claude-haiku-4-5"


@pytest.mark.parametrize(
    ("ours", "vendors", "joined"),
    [
        ({A}, {A}, {A}),
        ({A}, {FAMILY}, {FAMILY}),
        ({FAMILY}, {A}, {FAMILY}),
        ({A}, {FAMILY, A}, {FAMILY}),
        ({FAMILY, A}, {A}, {FAMILY}),
        ({A}, {B}, {A, B}),
        ({A}, {A, B, FAMILY}, {A, B, FAMILY}),
        ({A, B}, {A, B, FAMILY}, {A, B, FAMILY}),
        ({A, FAMILY}, {A, FAMILY}, {A, FAMILY}),
    ],
)
def test_names(ours: set[str], vendors: set[str], joined: set[str]) -> None:
    of_ours, of_vendors = joined_names(ours, vendors)
    assert set(of_ours) == ours
    assert set(of_vendors) == vendors
    assert set(of_ours.values()) | set(of_vendors.values()) == joined
    assert all(of_ours[name] == of_vendors[name] for name in ours & vendors)
