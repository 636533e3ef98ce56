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


@pytest.mark.parametrize(
    ("ours", "vendors", "joined"),
    [
        ({"claude-sonnet-4-6"}, {"Claude Sonnet 4.6"}, True),
        ({"us.anthropic.claude-sonnet-4-6-20260201-v1:0"}, {"Claude Sonnet 4.6"}, True),
        ({"gpt-4.1"}, {"GPT 4.1"}, True),
        ({"claude-sonnet-4-6", "claude_sonnet_4.6"}, {"Claude Sonnet 4.6"}, False),
        ({"claude-sonnet-4-6"}, {"Claude Sonnet 4.6", "claude sonnet 4-6"}, False),
        ({"anthropic.claude-sonnet-4-6-20260201-v1:0"}, {"claude-sonnet-4-6-20260301"}, False),
        ({"claude-sonnet-4-6"}, {"Claude Sonnet 4.5"}, False),
    ],
)
def test_names_that_differ_in_spelling_are_one_where_nothing_else_fits(
    ours: set[str], vendors: set[str], joined: bool
) -> None:
    of_ours, of_vendors = joined_names(ours, vendors)
    assert bool(set(of_ours.values()) & set(of_vendors.values())) is joined
