"""The states of a break and the ways between them. Pure.

open -> accepted | disputed | resolved | written_off; disputed -> accepted | resolved | written_off; whatever was
decided -> open again by `reopen`. A decision stands for the amount that it was made about: where a later run finds
another amount, the difference is open until somebody decides about the break as it is now.
"""

from __future__ import annotations

import re
from typing import Literal

State = Literal["open", "accepted", "disputed", "resolved", "written_off"]
Action = Literal["accept", "dispute", "resolve", "writeoff", "propose", "confirm", "reopen", "assign", "comment"]
STATES: tuple[State, ...] = ("open", "accepted", "disputed", "resolved", "written_off")
BOOKED: tuple[State, ...] = ("accepted", "written_off")
"""States whose decided amount departments are charged."""
BECOMES: dict[Action, State] = {
    "accept": "accepted", "dispute": "disputed", "resolve": "resolved", "writeoff": "written_off",
    "confirm": "written_off", "reopen": "open",
}  # fmt: skip
NO_WORK = frozenset({"ROUNDING"})
"""Classes that nobody is asked about: within their bound they are counted, and shared where a rule says so."""
_PERSON = re.compile(r"(?:web|token):(.+)")


def refusal(action: Action, state: State, *, is_changed: bool, is_pending: bool) -> str | None:
    """Why an action does not fit, or None. `is_changed`: the amount is not the one that was decided about."""
    if action in ("assign", "comment"):
        return None
    if action == "confirm":
        return None if is_pending else "no write-off of it waits for a second person"
    if action == "reopen":
        return None if state != "open" or is_pending else "it is open"
    if is_pending:
        return "a write-off of it waits for a second person: `confirm` or `reopen` it"
    wanted = "written_off" if action == "propose" else BECOMES[action]
    if is_changed or state == "open" or (state == "disputed" and wanted != "disputed"):
        return None
    return f"it is {state.replace('_', ' ')}" + ("" if state == wanted else "; `reopen` it first")


def person_of(actor: str) -> str | None:
    """The person behind an actor where that is certain: a web or token identity (contract.md, section 2)."""
    found = _PERSON.fullmatch(actor)
    return None if found is None else found[1]


def is_second(first: str, second: str) -> bool:
    """Whether two actors are two persons for certain."""
    one, other = person_of(first), person_of(second)
    return one is not None and other is not None and one != other
