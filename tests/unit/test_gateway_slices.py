"""What a process may still use of hard quotas, and what it is told when nothing is left."""

from __future__ import annotations

import pytest

from billing.quotas.leases import Account
from jangbu.gateway.slices import DENIED_S, Slices

ACCOUNT = Account(1, "D001", 500_000)


@pytest.fixture
def slices() -> Slices:
    """One whose first call asked for 50 and was given 30."""
    made = Slices()
    assert made.hold("first", ((ACCOUNT, 50),), 0.0) == [ACCOUNT]
    made.answered(made.report()["number"], [(ACCOUNT, 30)], 1.0)
    return made


def test_what_the_door_had_no_slice_for_is_not_asked_for_again_at_once(slices: Slices) -> None:
    """Calls of as much and of more are refused from memory for half a second, smaller ones are not."""
    assert slices.is_denied(((ACCOUNT, 50),), 1.0)
    assert slices.is_denied(((ACCOUNT, 80),), 1.0)
    assert not slices.is_denied(((ACCOUNT, 40),), 1.0)
    assert not slices.is_denied(((ACCOUNT, 50),), 1.0 + DENIED_S)
    assert not slices.is_denied(((Account(2, "D001", 500_000), 50),), 1.0)


def test_what_has_become_free_meanwhile_is_not_denied(slices: Slices) -> None:
    """Another call's end gives room."""
    slices.hold("second", ((ACCOUNT, 50),), 1.0)
    slices.answered(slices.report()["number"], [(ACCOUNT, 90)], 1.2)
    assert not slices.is_denied(((ACCOUNT, 50),), 1.2)
    assert slices.hold("third", ((ACCOUNT, 50),), 1.2) == []


def test_an_answer_to_nobody_denies_nothing() -> None:
    """A report that is made each second asks for nothing."""
    slices = Slices()
    slices.hold("first", ((ACCOUNT, 50),), 0.0)
    slices.answered(slices.report()["number"], [(ACCOUNT, 50)], 1.0)
    slices.answered(slices.report()["number"], [(ACCOUNT, 50)], 2.0)
    assert not slices.is_denied(((ACCOUNT, 80),), 2.0)
