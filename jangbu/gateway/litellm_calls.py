"""What LiteLLM's hooks give, as enforcement asks for it: who calls, which models may answer; and refusals as LiteLLM's.

Source: LiteLLM 1.106, `ProxyLogging.pre_call_hook` and `post_call_response_headers_hook`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from litellm.proxy._types import ProxyException

from jangbu.gateway.known import Asked, Caller
from producers.adapters import litellm_names as names
from producers.contract import EventRefused, check_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jangbu.gateway.refusals import Refusal

FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""LiteLLM's kinds of fallbacks: of its router's, and of a request."""
MODELS_KEPT_S: Final = 30.0
MODELS_MAX: Final = 2_000


class Refused(ProxyException):  # type: ignore[misc]
    """A refusal that LiteLLM answers as it is, in OpenAI's error shape, the facts beside it."""

    def __init__(self, refusal: Refusal) -> None:
        kind = "permission_error" if refusal.status == 403 else "rate_limit_error"
        super().__init__(refusal.message, kind, None, refusal.status, headers=dict(refusal.headers))
        self.refusal = refusal

    def to_dict(self) -> dict[str, Any]:
        """The body's `error`."""
        return {
            "message": self.message,
            "type": self.type,
            "param": None,
            "code": self.refusal.code,
            "jangbu": {"code": self.refusal.code, **self.refusal.facts},
        }


class CalledModels:
    """Which vendors' models stand behind a name of the proxy; asked of its router now and then."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Asked]] = {}

    def of(self, name: str) -> Asked:
        """With the models of its fallbacks. A name that the router does not know stands for itself."""
        now_s = time.monotonic()
        kept = self._kept.get(name)
        if kept is None or now_s > kept[0] + MODELS_KEPT_S:
            if len(self._kept) >= MODELS_MAX:
                self._kept.clear()
            kept = self._kept[name] = (now_s, Asked(name, tuple(sorted(_models(name)))))
        return kept[1]

    def of_request(self, data: Mapping[str, Any]) -> Asked:
        """All that a request may reach: several models at once, and the fallbacks that it names itself."""
        each = tuple(self.of(name) for name in dict.fromkeys(named_models(data)))
        if len(each) == 1:
            return each[0]
        return Asked(each[0].name, tuple(sorted({model for one in each for model in one.models})), each)


def named_models(data: Mapping[str, Any]) -> list[str]:
    """The names of models in a request: LiteLLM takes several in `model`, and fallbacks from whoever calls."""
    model = data.get("model")
    asked = model if isinstance(model, list) else str(model).split(",")
    names = [str(one).strip() for one in asked] or [str(model)]
    return [*names, *(name for kind in FALLBACKS for name in _named(data.get(kind)))]


def _named(fallbacks: Any) -> Iterator[str]:
    """`"gpt"`, `{"model": "gpt", …}`, or `{"claude": ["gpt"]}`, as many as there are, however deep."""
    waiting = [fallbacks]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend([one["model"]] if isinstance(one.get("model"), str) else one.values())


def caller_of(user_api_key: Any, data: Mapping[str, Any], department_from: str) -> Caller:
    """Who calls, by the same fields as the event's (producers.adapters.litellm); never by what the body says."""
    metadata = data.get("litellm_metadata") or data.get("metadata") or {}

    def told(name: str) -> str | None:
        value = metadata.get(name) if isinstance(metadata, dict) and name.startswith("user_api_key_") else None
        value = value or getattr(user_api_key, name.removeprefix("user_api_key_"), None)
        return value if isinstance(value, str) and value and _is_name(value) else None

    alias = getattr(user_api_key, "key_alias", None) or getattr(user_api_key, "api_key", None)
    return Caller(told("user_api_key_user_id"), told(department_from), alias if isinstance(alias, str) else None)


def _is_name(value: str) -> bool:
    """Whether an event may carry it: one that is refused counts for nobody, so no quota of that name is asked for."""
    try:
        check_name("subject", value)
    except EventRefused:
        return False
    return True


def _models(name: str) -> set[tuple[str, str]]:
    from litellm.proxy import proxy_server

    router = proxy_server.llm_router
    groups = [name]
    for group in groups:  # grows: a fallback has fallbacks
        more = (one for kind in FALLBACKS for one in _fallbacks(getattr(router, kind, None) or (), group))
        groups += [one for one in dict.fromkeys(more) if one not in groups]
    found = set()
    for group in groups:
        for deployment in (router.get_model_list(model_name=group) if router is not None else None) or ():
            of = deployment["litellm_params"]
            found.add(_called(of["model"], of.get("custom_llm_provider")))
    return found or {_called(name, None)}


def _called(model: str, provider: str | None) -> tuple[str, str]:
    head = model.partition("/")[0] if "/" in model else None
    bare, _ = names.bare_model(model, provider or head)
    return names.provider_of(provider, model) or "", bare


def _fallbacks(fallbacks: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    found = [one for entry in fallbacks for one in entry.get(name, entry.get("*", ()))]
    return list(_named(found))
