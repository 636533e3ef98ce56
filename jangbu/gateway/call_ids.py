"""One id for one call: LiteLLM takes a call's id from whoever calls (`x-litellm-call-id`), who may give one to many.

Everything of a call is found by its id: what is held for it, and whether its event has come. So a second call under the
id of one that is under way gets an id of its own, before anything is asked of a vendor; a caller who gives each call
its own id sees no difference. Source: LiteLLM 1.106, `resolve_litellm_call_id`; the logging object lives as long as its
call.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_ID = "litellm_call_id"


class CallIds:
    """The ids of the calls that are under way. For one event loop."""

    def __init__(self) -> None:
        self._under_way: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def make_own(self, data: MutableMapping[str, Any]) -> None:
        """Give a call an id that no other call has; `data` is a request's, with its logging object."""
        call = data.get("litellm_logging_obj")
        call_id = data.get(_ID)
        if call is None or not isinstance(call_id, str):
            return
        if self._under_way.get(call_id, call) is not call:
            call_id = data[_ID] = call.litellm_call_id = call.model_call_details[_ID] = str(uuid.uuid4())
        self._under_way[call_id] = call
