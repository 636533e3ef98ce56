"""Why a call is refused: a status, one sentence in Korean and one in English, and the facts. Pure.

The body is in OpenAI's error shape, so that clients raise their own exceptions (429: RateLimitError, 403:
PermissionDeniedError); the facts stand beside it under `jangbu`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from jangbu.gateway.known import Left

_WINDOWS_KO = {"hour": "시간", "day": "하루", "week": "주간", "month": "월간", "year": "연간"}
_SCOPES_KO = {"organisation": "기관", "department": "부서", "programme": "사업", "user": "사용자"}


@dataclass(frozen=True)
class Refusal:
    """One refusal. `code` is stable: quota_exceeded, unbounded, pledge_unsigned, model_not_allowed, quota_unknown."""

    status: int
    code: str
    message: str
    facts: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def over_quota(left: Left, moment: datetime, need: int | None = None) -> Refusal:
    """A quota is spent, or (`need`, ticks) what is left of a hard one does not hold the call's worst case."""
    key = left.quota.key
    resets_at = _shown(left.window.end)
    limit, rest = left.shown(left.limit), left.shown(left.remaining)
    of = f" of {key.model}" if key.model else ""
    ko = f"{_SCOPES_KO[key.scope]} {_WINDOWS_KO[key.window]} 한도 {limit} {key.unit}"
    en = f"The {key.scope}'s {key.window} limit of {limit} {key.unit}{of}"
    if need is None:
        message = (
            f"{ko}를 모두 사용했습니다. {resets_at}에 다시 시작합니다. / {en} is used up; it resets at {resets_at}."
        )
    else:
        message = (
            f"{ko} 가운데 남은 양이 이 요청의 최대 사용량 {left.shown(need)}보다 적습니다. "
            f"{resets_at}에 다시 시작합니다. / "
            f"{en} has less left than this call may use at most ({left.shown(need)}): ask for less output, or wait "
            f"until {resets_at}."
        )
    facts = {
        "quota": left.quota.id, "scope": key.scope, "subject": left.subject or None, "model": key.model or None,
        "unit": key.unit, "window": key.window, "mode": left.quota.mode, "limit": limit,
        "used": left.shown(left.used), "remaining": rest, "resets_at": resets_at,
    }  # fmt: skip
    if need is not None:
        facts["needed"] = left.shown(need)
    wait_s = max(1, int((left.window.end - moment).total_seconds()))
    return Refusal(429, "quota_exceeded", message, facts, {**headers_of(left), "retry-after": str(wait_s)})


def unbounded(left: Left) -> Refusal:
    """A call under a hard quota whose most has no bound, or no price."""
    key = left.quota.key
    message = (
        f"엄격한 한도({key.unit}) 아래에서는 최대 사용량을 알 수 없는 요청을 보낼 수 없습니다. "
        "max_tokens를 지정하세요. / "
        f"Under the hard {key.window} limit on {key.unit} a call needs a known maximum (and a price): give max_tokens, "
        "and leave out files, stored conversations and the vendor's own tools."
    )
    facts = {"quota": left.quota.id, "scope": key.scope, "unit": key.unit, "window": key.window,
             "resets_at": _shown(left.window.end)}  # fmt: skip
    return Refusal(429, "unbounded", message, facts, headers_of(left))


def unsigned(sign_at: str | None) -> Refusal:
    """A person whose pledge does not hold."""
    ko = f"{sign_at} 에서" if sign_at else "부서 담당자를 통해"
    en = f"at {sign_at}" if sign_at else "with your department's contact"
    message = (
        f"서약서에 서명해야 이용할 수 있습니다. {ko} 서명하세요. / "
        f"Sign the pledge {en} before you use this service."
    )
    return Refusal(403, "pledge_unsigned", message, {"sign_at": sign_at})


def other_model(name: str) -> Refusal:
    """A model that is none of the person's programme."""
    message = (
        f"참여 중인 시범사업에서 {name} 모델은 이용할 수 없습니다. / "
        f"The model {name} is none of those of your programme: choose one of them."
    )
    return Refusal(403, "model_not_allowed", message, {"model": name})


def unknown() -> Refusal:
    """Nothing is known of the quotas now, and calls then do not pass."""
    message = (
        "지금은 한도를 확인할 수 없어 요청을 받지 않습니다. 잠시 뒤 다시 시도하세요. / "
        "Quotas cannot be known now, so that no call passes: try again later."
    )
    return Refusal(503, "quota_unknown", message, {}, {"retry-after": "5"})


def headers_of(left: Left) -> dict[str, str]:
    """What every answer tells of its most telling quota."""
    return {
        "x-jangbu-remaining": left.shown(left.remaining),
        "x-jangbu-limit": left.shown(left.limit),
        "x-jangbu-unit": left.quota.key.unit,
        "x-jangbu-reset": _shown(left.window.end),
    }


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
