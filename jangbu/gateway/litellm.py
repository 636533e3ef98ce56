"""`jangbu.gateway.litellm.callback`: LiteLLM's `callbacks:` hands each call to a vendor over to us.

Two settings of the proxy: this name under `litellm_settings: callbacks:`, and JANGBU_SOURCE with where events go
(docs/gateway-litellm.md). Nothing here waits for a disk or a network, and no error of ours reaches a request.

What is read of a payload is picked by name at once; prompts, answers, e-mail, addresses and user agents are not among
it (`producers.adapters.litellm`), and never wait in our queue.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from litellm.exceptions import RateLimitError
from litellm.integrations.custom_logger import CustomLogger

from jangbu.errors import SettingsError
from jangbu.gateway import settings as gateway_settings
from jangbu.gateway.attempts import Attempts, Call
from jangbu.gateway.bounds import is_free
from jangbu.gateway.call_ids import CallIds
from jangbu.gateway.enforcing import Enforcer
from jangbu.gateway.litellm_calls import CalledModels, Refused, caller_of
from jangbu.gateway.metering import Meter
from producers.flags import RECORD_FIELDS, is_refused_before_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STOP_PATIENCE_S: Final = 5.0
NO_CALL_MARK: Final = "litellm_no_upstream_llm_call"
"""LiteLLM's mark on requests that its own gate refused (authentication, limits): no vendor was called."""
NO_CHARGE_TYPES: Final = frozenset({"IGNORE_THIS", "acreate_batch", "create_batch", "acancel_batch", "alist_batches"})
"""Call types that no vendor charges; files and vector stores are told by having no provider and no model."""
BATCH_TYPES: Final = frozenset({"aretrieve_batch", "retrieve_batch"})
_PLAIN: Final = ("id", "litellm_call_id", "call_type", "stream", "status", "custom_llm_provider", "model",
                 "model_group", "api_base", "cache_hit", "startTime", "endTime", "prompt_tokens", "completion_tokens",
                 "response_cost", "request_tags")  # fmt: skip
_OF_METADATA: Final = ("user_api_key_hash", "user_api_key_alias", "user_api_key_team_id", "user_api_key_user_id",
                       "usage_object")  # fmt: skip
_OF_ANSWER: Final = ("model", "usage", "service_tier", "completed_at", "request_counts")
_OF_HIDDEN: Final = ("additional_headers", "usage_object", "batch_models")
_log = logging.getLogger("jangbu.gateway")


class JangbuCallback(CustomLogger):
    """One a process. `meter` is None where the settings do not hold and the proxy was told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self._attempts = Attempts()
        self._call_ids = CallIds()
        self._department = "user_api_key_team_id"
        self._unmetered = 0
        self._unmetered_said_s = 0.0
        self.meter: Meter | None = None
        self.enforcer: Enforcer | None = None
        self._models = CalledModels()
        self._of_parent: list[Meter | None] = []
        self._forked = False
        self._begin()
        os.register_at_fork(after_in_child=self._in_child)
        atexit.register(self.stop)

    def _begin(self) -> None:
        """Read the settings and start."""
        self._forked = False
        try:
            found = gateway_settings.read()
            self._department = found.department_from.removeprefix("metadata.").partition(".")[0]
            self._attempts = Attempts()
            self.meter = Meter(found, self._owed)
        except (SettingsError, OSError) as error:
            if not gateway_settings.goes_on_unmetered(os.environ):
                raise SettingsError(
                    f"jangbu cannot meter this proxy: {error}. With JANGBU_GATEWAY_ON_BAD_SETTINGS=continue the proxy "
                    "starts all the same, and nothing is metered"
                ) from error
            _log.error("jangbu cannot meter this proxy: %s. It goes on WITHOUT metering, as it was told to", error)
            return
        if found.quota != "off":
            self.enforcer = Enforcer(found, str(self.meter.outbox_path), self.meter.left_over_is_gone)
            self.meter.on_written = self.enforcer.written
            self.meter.more_status = self.enforcer.document
            self.enforcer.start()
        self.meter.start()
        where = f"Kafka at {found.broker}" if found.broker else found.url
        _log.warning("jangbu meters this proxy as %s: outbox %s, to %s", found.source, self.meter.outbox_path, where)

    def _in_child(self) -> None:
        """A forked process has its parent's open file and none of its threads: it begins anew when it first meters,
        and lets go of nothing, since closing the file here would close it for the parent."""
        self._of_parent.append(self.meter)
        self.meter = self.enforcer = None
        self._forked = True

    def stop(self) -> None:
        """Write and deliver what waits; a few seconds at most."""
        if self.meter is not None:
            self.meter.close(STOP_PATIENCE_S)
        if self.enforcer is not None:
            self.enforcer.close(STOP_PATIENCE_S)

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any) -> None:  # noqa: ARG002, E501 - LiteLLM's signature
        """Before a request reaches a vendor: refused where a quota, the pledge or a programme says so."""
        if self._forked:
            self._begin()
        try:
            self._call_ids.make_own(data)
        except Exception:  # noqa: BLE001 - never a request's trouble
            _log.exception("a call could not be given an id of its own")
        enforcer, meter = self.enforcer, self.meter
        if enforcer is None or meter is None or is_free(str(call_type)):
            return
        begun_s = time.perf_counter()
        refusal = None
        try:
            caller = caller_of(user_api_key_dict, data, self._department)
            asked = self._models.of_request(data)
            waits = enforcer.counts["lease_waits"]
            refusal = await enforcer.check(str(data.get("litellm_call_id")), caller, asked, data, str(call_type))
            if enforcer.counts["lease_waits"] == waits:
                meter.counts.decided(time.perf_counter() - begun_s)
        except Exception:  # noqa: BLE001 - a defect of ours is no decision: the settings say what becomes of the call
            _log.exception("a call could not be decided")
            refusal = enforcer.undecided()
        if refusal is not None:
            raise Refused(refusal)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:  # noqa: ARG002
        """Before each attempt: a further one holds as much of hard quotas again."""
        enforcer = self.enforcer
        if enforcer is not None and not await enforcer.next_attempt(str(kwargs.get("litellm_call_id"))):
            raise RateLimitError(
                "재시도에 필요한 한도가 남아 있지 않습니다. / A hard quota has too little left for another attempt.",
                llm_provider=str(kwargs.get("custom_llm_provider") or ""),
                model=str(kwargs.get("model")),
            )

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,  # noqa: ARG002 - LiteLLM's signature
        request_headers: dict[str, str] | None = None,  # noqa: ARG002
        litellm_call_info: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> dict[str, str] | None:
        """What is left, on answers, streams included."""
        if self.enforcer is None:
            return None
        try:
            caller = caller_of(user_api_key_dict, data, self._department)
            return self.enforcer.headers(caller, self._models.of(str(data.get("model"))))
        except Exception:  # noqa: BLE001 - an answer goes out without our headers then
            _log.exception("what is left could not be told")
            return None

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:  # noqa: ARG002 - LiteLLM's signature
        """A vendor is about to be called: once for each attempt."""
        try:
            if NO_CALL_MARK not in kwargs:
                call = Call(_fields_of_call(kwargs, self._department), kwargs.get("stream") is True)
                self._attempts.called(str(kwargs.get("litellm_call_id")), call, time.monotonic())
        except Exception:  # noqa: BLE001 - never a request's trouble
            _log.exception("a call could not be noted")

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
        """A request was answered, from a vendor or from the cache."""
        self._take(kwargs)

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
        """The same, of LiteLLM's synchronous functions."""
        self._take(kwargs)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
        """A request failed, or one of its attempts."""
        self._take(kwargs)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
        """The same, of LiteLLM's synchronous functions, and of requests that its gate refused."""
        self._take(kwargs)

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,  # noqa: ARG002 - LiteLLM's signature
        call_type: Any,  # noqa: ARG002
        fallback_depth: int | None = None,  # noqa: ARG002
    ) -> None:
        """An attempt failed before anything was answered."""
        self._attempts.failed(str(request_data.get("litellm_call_id")))

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,  # noqa: ARG002 - LiteLLM's signature
        user_api_key_dict: Any,  # noqa: ARG002
        traceback_str: str | None = None,  # noqa: ARG002
    ) -> None:
        """A request has failed for good: what of it was not logged is owed soon."""
        request_id = str(request_data.get("litellm_call_id"))
        self._attempts.ended(request_id, time.monotonic())
        if self.enforcer is not None:
            self.enforcer.slices.ended(request_id, time.monotonic())

    def _take(self, kwargs: Mapping[str, Any]) -> None:
        """Hand an event over; measured, and never an error to who calls."""
        begun_s = time.perf_counter()
        try:
            payload = kwargs.get("standard_logging_object")
            if self._forked:
                self._begin()
            if self.meter is None:
                self._say_unmetered()
            elif payload is None:
                self.meter.counts.refused += 1
                _log.error("LiteLLM logged a request without its payload: it cannot be counted")
            else:
                self._hand_over(payload, kwargs, self.meter)
                self.meter.counts.took(time.perf_counter() - begun_s)
        except Exception:  # noqa: BLE001 - never a request's trouble
            _log.exception("a request could not be handed over")

    def _hand_over(self, payload: Mapping[str, Any], kwargs: Mapping[str, Any], meter: Meter) -> None:
        request_id = str(payload.get("litellm_call_id") or kwargs.get("litellm_call_id"))
        now_s = time.monotonic()
        if _is_no_charge(payload, kwargs):
            meter.counts.no_charge += 1
            return
        batch = payload.get("call_type") in BATCH_TYPES
        attempt = None
        if payload.get("status") != "failure":
            if self._attempts.is_told_again((payload.get("id"), None if batch else payload.get("startTime"))):
                return
            if payload.get("cache_hit") is not True and not self._attempts.answered(request_id, now_s):
                meter.counts.late += 1
                return
            if self.enforcer is not None:
                self.enforcer.slices.ended(request_id, now_s)
        else:
            attempt = self._attempts.number_of_failure(request_id, payload.get("startTime"), now_s)
            if attempt is None:
                meter.counts.late += self._attempts.was_owed(request_id)
                return
            if attempt == 1:
                attempt = None  # as the payload says it, like a backfill of LiteLLM's log
        meter.hand_over(_picked(payload, self._department), attempt)

    def _owed(self) -> Iterator[tuple[Mapping[str, Any], int]]:
        for owed in self._attempts.take_owed(time.monotonic()):
            yield _fields_of_owed(owed.call.fields, owed.request_id, cut=owed.cut), owed.number

    def _say_unmetered(self) -> None:
        self._unmetered += 1
        if time.monotonic() - self._unmetered_said_s > 60:
            self._unmetered_said_s = time.monotonic()
            _log.error("%d requests were NOT metered so far: jangbu's settings do not hold", self._unmetered)


def _is_no_charge(payload: Mapping[str, Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether LiteLLM logs something that no vendor was asked for, or that none charges."""
    if NO_CALL_MARK in kwargs:  # a guardrail's refusal is told all the same: an event of 0 requests carries its flag
        return not is_refused_before_call(payload.get("guardrail_information"))
    if payload.get("call_type") in NO_CHARGE_TYPES:
        return True
    if payload.get("model"):
        return False
    return not (payload.get("custom_llm_provider") and (payload.get("hidden_params") or {}).get("batch_models"))


def _picked(payload: Mapping[str, Any], department: str) -> dict[str, Any]:
    """The named fields of a payload; what is not named is left behind."""
    fields = {name: payload.get(name) for name in _PLAIN}
    fields["metadata"] = _some(payload.get("metadata"), (*_OF_METADATA, department))
    fields["hidden_params"] = _some(payload.get("hidden_params"), _OF_HIDDEN)
    fields["response"] = _some(payload.get("response"), _OF_ANSWER)
    fields["model_parameters"] = _some(payload.get("model_parameters"), ("service_tier", "stream"))
    fields["model_map_information"] = _some(payload.get("model_map_information"), ("model_map_key",))
    fields["error_information"] = _some(payload.get("error_information"), ("error_class",))
    records = payload.get("guardrail_information")
    if records:  # what a guardrail decided; never what it saw
        given = records if isinstance(records, list) else [records]
        fields["guardrail_information"] = [_some(record, RECORD_FIELDS) for record in given]
    return fields


def _some(holder: Any, names: tuple[str, ...]) -> dict[str, Any] | None:
    return {name: holder[name] for name in names if name in holder} if isinstance(holder, dict) else None


def _fields_of_call(kwargs: Mapping[str, Any], department: str) -> dict[str, Any]:
    """What of a payload is known before a vendor is called: who asks for which model."""
    parameters = kwargs.get("litellm_params") or {}
    metadata = parameters.get("metadata") or parameters.get("litellm_metadata") or {}
    return {
        "model": kwargs.get("model"),
        "custom_llm_provider": kwargs.get("custom_llm_provider"),
        "call_type": kwargs.get("call_type"),
        "api_base": parameters.get("api_base"),
        "startTime": time.time(),
        "request_tags": list(metadata.get("tags") or []),
        "metadata": {name: metadata.get(name) for name in (*_OF_METADATA[:-1], department)},
    }


def _fields_of_owed(known: Mapping[str, Any], request_id: str, *, cut: bool) -> dict[str, Any]:
    """The payload that LiteLLM did not log: a call that failed, its counts missing."""
    streamed = {"model_parameters": {"stream": True}, "error_information": {"error_class": "ReadError"}} if cut else {}
    return {**known, "id": request_id, "status": "failure", **streamed}


callback = JangbuCallback()
