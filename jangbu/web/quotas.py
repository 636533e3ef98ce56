"""`GET /v1/quota`: what is left for a user, a department and a model, from memory.

A thread reads the quotas each second once somebody has asked; a request never waits for the database. Until they were
read for the first time, or where the database has been away for longer than `STALE_S`, the answer is 503 and says so:
whoever asks decides whether to let a request pass.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from billing.quotas.board import Board
from billing.quotas.looking import read_prices
from billing.quotas.register import held_quotas
from billing.quotas.states import STATES, states_at
from billing.store import snapshot
from jangbu.errors import JangbuError
from jangbu.web.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Engine
    from starlette.requests import Request

    from billing.quotas.states import QuotaState
    from jangbu.web.door import Door

READ_EVERY_S: Final = 1.0
STALE_S: Final = 60.0
FIRST_WAIT_S: Final = 3.0
NAME_CHARACTERS_MAX: Final = 512
_log = logging.getLogger("jangbu.web")


class QuotaReader:
    """Keeps a board that is at most some seconds old, from the first question on.

    Args:
        connect: gives an engine of the reader's login; may raise JangbuError while the database is away.
        zone: the organisation's.
    """

    def __init__(self, connect: Callable[[], AbstractContextManager[Engine]], zone: str) -> None:
        self._connect = connect
        self._zone = zone
        self._board: Board | None = None
        self._started = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._first = threading.Event()

    def board(self) -> Board | None:
        """The newest board; None before the first one, or where it is stale."""
        with self._started:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="quotas", daemon=True)
                self._thread.start()
                wait_s = FIRST_WAIT_S
            else:
                wait_s = 0.0
        if self._board is None:
            self._first.wait(wait_s)
        board = self._board
        if board is None or datetime.now(UTC) - board.as_of > timedelta(seconds=STALE_S):
            return None
        return board

    @property
    def is_ready(self) -> bool:
        """Whether asking takes no time."""
        return self._board is not None

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connect() as engine:
                    while not self._stop.is_set():
                        self._board = read_board(engine, self._zone)
                        self._first.set()
                        self._stop.wait(READ_EVERY_S)
            except (JangbuError, exc.OperationalError) as error:
                _log.warning("quotas cannot be read: %s", str(error).splitlines()[0])
                self._stop.wait(READ_EVERY_S * 5)


def read_board(engine: Engine, zone: str) -> Board:
    """Every quota as of now."""
    with snapshot(engine) as connection:
        now = datetime.now(UTC)
        rows = held_quotas(connection)
        return Board(rows, states_at(connection, rows, read_prices(connection, zone), now) if rows else (), zone, now)


def quota_routes(reader: QuotaReader) -> list[Route]:
    """The route around one reader."""

    async def get_quota(request: Request) -> Response:
        door: Door = request.app.state.door
        door.bearer(request.headers.get("authorization"))
        asked = {name: _asked(request, name) for name in ("user", "department", "model")}
        if reader.is_ready:
            board = reader.board()
        else:
            board = await run_in_threadpool(reader.board)
        if board is None:
            raise Refused(
                503,
                "quotas_unread",
                "the quotas cannot be read now: the database is away; ask again",
                headers={"retry-after": "5"},
            )
        states = board.about(datetime.now(UTC), asked["user"], asked["department"], asked["model"])
        return Response(answer(board, asked, states), media_type="application/json")

    return [Route("/v1/quota", get_quota, methods=["GET"])]


def answer(board: Board, asked: dict[str, str | None], states: list[QuotaState]) -> str:
    """The document: the most telling quota's figures first, then all of them. No quota: nothing limits the request."""
    documents = [state.document() for state in states]
    first = documents[0] if documents else None
    document = {
        **asked,
        "as_of": board.as_of,
        "state": max((state.state for state in states), key=STATES.index, default="within"),
        "allowed": not any(state.state == "spent" and state.quota.mode == "hard" for state in states),
        "remaining": None if first is None else first["remaining"],
        "unit": None if first is None else first["unit"],
        "resets_at": None if first is None else first["resets_at"],
        "quotas": documents,
    }
    return json.dumps(document, ensure_ascii=False, default=_instant)


def _instant(moment: object) -> str:
    assert isinstance(moment, datetime)
    return moment.isoformat().replace("+00:00", "Z")


def _asked(request: Request, name: str) -> str | None:
    value = request.query_params.get(name)
    if value is not None and len(value) > NAME_CHARACTERS_MAX:
        raise Refused(400, "name", f"{name} has {len(value)} characters: name one with at most {NAME_CHARACTERS_MAX}")
    return value or None
