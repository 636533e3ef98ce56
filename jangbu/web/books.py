"""What views read and change: the databases by their logins, kept open; settings and policy, resolved once."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from billing.store import snapshot
from jangbu.database import connect
from jangbu.errors import JangbuError
from jangbu.web.memory import Memory, Unchanged
from jangbu.web.open_months import OpenMonths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from sqlalchemy import Connection, Engine

    from billing.policy import MoneyPolicy
    from billing.pseudonyms import Pseudonyms
    from billing.quotas.board import Board
    from jangbu.context import Context, Role
    from jangbu.settings import Settings


class Books:
    """The books of one installation. A database that is away raises JangbuError or OperationalError, each time anew."""

    def __init__(self, context: Context, board: Callable[[], Board | None] = lambda: None) -> None:
        """`board`: quotas as they stand, from memory; None: read them from the database."""
        self.context = context
        self.board = board
        self.memory = Memory()
        self.unchanged = Unchanged()
        self.open_months = OpenMonths()
        self._stack = ExitStack()
        self._engines: dict[Role, Engine] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()
        self.open_months.close()
        with self._lock:
            self._engines.clear()
            self._stack.close()

    @property
    def settings(self) -> Settings:
        """All settings."""
        return self.context.settings

    @property
    def policy(self) -> MoneyPolicy:
        """What decides money."""
        return self.context.policy

    @property
    def people(self) -> Pseudonyms | None:
        """What stands for users' names; None where they are shown."""
        return self.context.people

    def engine(self, role: Role) -> Engine:
        """An engine for one login, opened at its first use."""
        with self._lock:
            found = self._engines.get(role)
            if found is None:
                found = self._engines[role] = self._stack.enter_context(self.context.engine(role))
            return found

    def url(self, role: Role) -> str | None:
        """The address of a login with its password, for a process of our own; None where it is not configured."""
        try:
            return self.engine(role).url.render_as_string(hide_password=False)
        except JangbuError:
            return None

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection of the reader that sees one state and writes nothing."""
        with snapshot(self.engine("reader")) as connection:
            yield connection

    @contextmanager
    def snapshot_apart(self, at: str | None = None) -> Iterator[Connection]:
        """The same on a connection that is nobody else's (`at`: of an exported state): who holds it for long takes none
        away from others, and who has one already does not wait for a second."""
        address = self.engine("reader").url.render_as_string(hide_password=False)
        with snapshot(connect(address, is_pooled=False), at) as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """A transaction of billing's login."""
        with self.engine("billing").begin() as connection:
            yield connection
