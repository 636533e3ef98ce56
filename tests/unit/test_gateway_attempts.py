"""Every call to a vendor has one event: which are owed, and when."""

from __future__ import annotations

import pytest

from jangbu.gateway.attempts import FORGOTTEN_AFTER_S, GRACE_S, Attempts, Call

CALL = Call({"model": "m"}, streamed=False)
STREAM = Call({"model": "m"}, streamed=True)


def owed(attempts: Attempts, now_s: float) -> list[tuple[str, int, bool]]:
    return [(one.request_id, one.number, one.cut) for one in attempts.take_owed(now_s)]


def test_an_answered_call_owes_nothing_and_is_forgotten() -> None:
    attempts = Attempts()
    attempts.called("r", CALL, 0)
    attempts.answered("r", 1)
    assert attempts.under_way() == 0
    assert owed(attempts, 1e6) == []


def test_the_second_failure_of_three_calls_is_owed_after_the_grace() -> None:
    """LiteLLM logs the first failure and the answer."""
    attempts = Attempts()
    attempts.called("r", CALL, 0)
    attempts.failed("r")
    assert attempts.number_of_failure("r", 0.5, 0) == 1
    attempts.called("r", CALL, 1)
    attempts.failed("r")
    attempts.called("r", CALL, 2)
    attempts.answered("r", 3)
    assert owed(attempts, 3 + GRACE_S - 0.001) == []
    assert owed(attempts, 3 + GRACE_S) == [("r", 2, False)]
    assert owed(attempts, 1e6) == []


def test_a_failure_that_is_logged_late_is_not_owed() -> None:
    attempts = Attempts()
    for _ in range(2):
        attempts.called("r", CALL, 0)
    attempts.answered("r", 1)
    assert attempts.number_of_failure("r", 0.5, 2) == 1
    assert owed(attempts, 1 + GRACE_S) == []


def test_failures_logged_each_by_itself_have_numbers_of_their_own_and_copies_none() -> None:
    """Speech: each attempt is logged, by two functions."""
    attempts = Attempts()
    numbers = []
    for at in (0.0, 1.0, 2.0):
        attempts.called("r", CALL, at)
        numbers += [attempts.number_of_failure("r", at, at), attempts.number_of_failure("r", at, at)]
    attempts.ended("r", 3)
    assert numbers == [1, None, 2, None, 3, None]
    assert owed(attempts, 1e6) == []


@pytest.mark.parametrize("failed_first", [True, False])
def test_a_stream_that_had_begun_is_cut(failed_first: bool) -> None:
    """Gemini's own form: a stream that breaks off is not logged at all."""
    attempts = Attempts()
    attempts.called("r", STREAM, 0)
    if failed_first:
        attempts.failed("r")
    attempts.ended("r", 1)
    assert owed(attempts, 1 + GRACE_S) == [("r", 1, not failed_first)]


def test_a_request_that_goes_on_after_its_end_is_not_over() -> None:
    attempts = Attempts()
    attempts.called("r", CALL, 0)
    attempts.ended("r", 0)
    attempts.called("r", CALL, 1)
    assert owed(attempts, 2 * GRACE_S) == []


def test_what_never_ends_is_settled_in_the_end() -> None:
    attempts = Attempts()
    attempts.called("r", CALL, 0)
    assert owed(attempts, FORGOTTEN_AFTER_S - 1) == []
    assert owed(attempts, FORGOTTEN_AFTER_S) == [("r", 1, False)]


def test_the_oldest_are_settled_where_too_many_are_under_way() -> None:
    attempts = Attempts(requests_max=2)
    for name in "abc":
        attempts.called(name, CALL, 0)
    assert owed(attempts, 1) == [("a", 1, False)]
    assert attempts.under_way() == 2


def test_a_second_telling_is_known() -> None:
    attempts = Attempts()
    assert [attempts.is_told_again(("id", at)) for at in (1.0, 1.0, 2.0)] == [False, True, False]
