"""What is left, from memory: `GET /v1/quota` for anybody, `GET /v1/enforcement` and its leases for gateways.

A request never waits for the database but for a report of leases. Until the quotas were read for the first time, or
where the database has been away for longer than `STALE_S`, the answer is 503 and says so: whoever asks decides whether
to let a request pass.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from billing.money import exact, plain
from billing.quotas.desk import WrongReport
from billing.quotas.leases import TICKS, Account
from billing.quotas.states import STATES
from jangbu.web.answers import Refused
from jangbu.web.bodies import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from billing.quotas.states import QuotaState
    from jangbu.web.door import Door
    from jangbu.web.quota_keeper import KeptBoard, QuotaKeeper

NAME_CHARACTERS_MAX: Final = 512
WAIT_S_MAX: Final = 20.0


def quota_routes(keeper: QuotaKeeper) -> list[Route]:
    """The routes around one keeper."""

    async def get_quota(request: Request) -> Response:
        door: Door = request.app.state.door
        door.bearer(request.headers.get("authorization"))
        asked = {name: _asked(request, name) for name in ("user", "department", "model")}
        kept = keeper.kept() if keeper.is_ready else await run_in_threadpool(keeper.kept)
        if kept is None:
            raise _unread()
        states = kept.board.about(datetime.now(UTC), asked["user"], asked["department"], asked["model"])
        return _json(answer(kept, asked, states))

    async def get_enforcement(request: Request) -> Response:
        door: Door = request.app.state.door
        door.bearer(request.headers.get("authorization"))
        epoch, version, wait_s = _place(request)
        if (keeper.kept() if keeper.is_ready else await run_in_threadpool(keeper.kept)) is None:
            raise _unread()
        return _json(await keeper.feed.newer(epoch, version, wait_s))

    async def post_leases(request: Request) -> Response:
        door: Door = request.app.state.door
        bearer = door.bearer(request.headers.get("authorization"))
        try:
            document = json.loads(await read_body(request, door.limits))
        except (ValueError, RecursionError):
            raise Refused(400, "body", "the body is no JSON: send a report as a gateway makes it") from None
        if not isinstance(document, dict):
            raise Refused(400, "body", "the body is no JSON object: send a report as a gateway makes it")
        if bearer.sources is not None and document.get("source") not in bearer.sources:
            raise Refused(403, "source_forbidden", "this token speaks for another source")
        try:
            return _json(await keeper.report(document))
        except WrongReport as error:
            raise Refused(400, "report", str(error)) from None
        except OSError:
            raise _unread() from None

    return [
        Route("/v1/quota", get_quota, methods=["GET"]),
        Route("/v1/enforcement", get_enforcement, methods=["GET"]),
        Route("/v1/enforcement/leases", post_leases, methods=["POST"]),
    ]


def answer(kept: KeptBoard, asked: dict[str, str | None], states: list[QuotaState]) -> dict[str, Any]:
    """The document: the most telling quota's figures first, then all of them. No quota: nothing limits the request."""
    documents = [_document(state, kept.reserved) for state in states]
    first = documents[0] if documents else None
    return {
        **asked,
        "as_of": kept.board.as_of,
        "state": max((state.state for state in states), key=STATES.index, default="within"),
        "allowed": not any(state.state == "spent" for state in states),
        "remaining": None if first is None else first["remaining"],
        "unit": None if first is None else first["unit"],
        "resets_at": None if first is None else first["resets_at"],
        "quotas": documents,
    }


def _document(state: QuotaState, reserved: dict[Account, int]) -> dict[str, Any]:
    """A quota's figures; of a hard one what gateways hold or have settled beside the sums is taken off what is left."""
    ticks = reserved.get(Account(state.quota.id, state.subject, state.window.first_hour), 0)
    with exact():
        held = Decimal(ticks) / (TICKS if state.quota.currency is not None else 1)
        remaining = max(Decimal(0), state.limit - state.used - held)
    return {**state.document(), "remaining": plain(remaining), "reserved": plain(held)}


def _place(request: Request) -> tuple[str | None, int, float]:
    """(epoch, version, seconds to wait) of a gateway's question."""
    asked = request.query_params
    try:
        version, wait_s = int(asked.get("version", "-1")), float(asked.get("wait", "0"))
    except ValueError:
        raise Refused(400, "version", "version and wait are numbers: give those of the last answer") from None
    return asked.get("epoch"), version, min(WAIT_S_MAX, max(0.0, wait_s))


def _unread() -> Refused:
    return Refused(
        503,
        "quotas_unread",
        "the quotas cannot be read now: the database is away; ask again",
        headers={"retry-after": "5"},
    )


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, ensure_ascii=False, default=_instant), media_type="application/json")


def _instant(moment: object) -> str:
    assert isinstance(moment, datetime)
    return moment.isoformat().replace("+00:00", "Z")


def _asked(request: Request, name: str) -> str | None:
    value = request.query_params.get(name)
    if value is not None and len(value) > NAME_CHARACTERS_MAX:
        raise Refused(400, "name", f"{name} has {len(value)} characters: name one with at most {NAME_CHARACTERS_MAX}")
    return value or None
