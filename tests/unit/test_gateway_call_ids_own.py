"""A call under the id of one that is under way gets an id of its own."""

from __future__ import annotations

from typing import Any

from jangbu.gateway.call_ids import CallIds


class Call:
    """What of LiteLLM's logging object matters."""

    def __init__(self, call_id: str) -> None:
        self.litellm_call_id = call_id
        self.model_call_details = {"litellm_call_id": call_id}


def request(call: Call | None, call_id: str = "mine") -> dict[str, Any]:
    return {"litellm_call_id": call_id, "litellm_logging_obj": call}


def test_an_id_is_one_calls_while_that_is_under_way() -> None:
    ids = CallIds()
    first, second = Call("mine"), Call("mine")
    asked = request(first)
    for _ in range(2):  # a call that is asked about again keeps its id
        ids.make_own(asked)
        assert asked["litellm_call_id"] == first.litellm_call_id == "mine"
    other = request(second)
    ids.make_own(other)
    assert other["litellm_call_id"] == second.litellm_call_id == second.model_call_details["litellm_call_id"] != "mine"
    del first, asked
    later = request(Call("mine"))
    ids.make_own(later)
    assert later["litellm_call_id"] == "mine"


def test_a_request_without_a_call_is_left_alone() -> None:
    ids = CallIds()
    for odd in ({}, request(None), {"litellm_call_id": 5, "litellm_logging_obj": Call("x")}):
        before = dict(odd)
        ids.make_own(odd)
        assert odd == before
