"""What is due of quotas: thresholds that are reached, and limits that will be, as it goes. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.alerts.alert import Due, number, severity_of_share
from billing.money import exact
from billing.periods import hour_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from billing.alerts.profile import Profile
    from billing.quotas.states import QuotaState

ELAPSED_MIN = Fraction(1, 10)
"""So much of what a window usually sees must have passed before anything is projected from it."""
USED_MIN = Fraction(1, 5)
"""And so much of the limit must be used: a few requests on the first morning say nothing."""


def thresholds_due(states: Iterable[QuotaState]) -> Iterator[Due]:
    """Every threshold that is reached, by quota row, window, threshold and subject."""
    for state in states:
        for threshold in state.crossed:
            key = f"{state.quota.id}/{state.window.first_hour}/{number(threshold)}/{state.subject}"
            content = {**_content(state), "threshold": number(threshold)}
            yield _due(state, "threshold", key, severity_of_share(threshold), content)


def projections_due(states: Iterable[QuotaState], profile: Profile | None, moment: datetime) -> Iterator[Due]:
    """Limits that will be passed before their window ends: what is used, divided by the share of the window's usual use
    that has passed by now, is more than the limit. Once for a quota row, window and subject.

    Without a `profile` (too little history) nothing is projected: unknown is not a forecast.
    """
    if profile is None:
        return
    for state in states:
        if not 0 < state.used < state.limit or not state.window.start <= moment < state.window.end:
            continue
        if Fraction(state.used) < USED_MIN * Fraction(state.limit):
            continue
        passed = profile.share_passed(state.window.first_hour, state.window.end_hour, moment)
        if passed is None or passed < ELAPSED_MIN:
            continue
        if Fraction(state.used) > Fraction(state.limit) * passed:
            whole = Fraction(state.used) / passed
            at_share = Fraction(state.limit) / whole
            hour = profile.hour_of_share(state.window.first_hour, state.window.end_hour, at_share)
            key = f"{state.quota.id}/{state.window.first_hour}/{state.subject}"
            content = {
                **_content(state),
                "projected": str(-(-whole.numerator // whole.denominator)),
                "exhausted_at": hour_start(hour).isoformat(),
            }
            yield _due(state, "projected", key, "warning", content)


def _due(state: QuotaState, kind: Any, key: str, severity: Any, content: dict[str, Any]) -> Due:
    scope = state.quota.key.scope
    return Due(
        kind,
        key,
        severity,
        content,
        scope,
        state.subject,
        state.subject if scope == "department" else None,
        state.quota.id,
        state.quota.notify,
    )


def _content(state: QuotaState) -> dict[str, Any]:
    key = state.quota.key
    with exact():
        return {
            "model": key.model,
            "unit": key.unit,
            "window": key.window,
            "window_hour": state.window.first_hour,
            "used": number(state.used),
            "limit": number(state.limit),
        }
