"""Numbers for routes and payers, so that an event holds 8 bytes of them.

Filled in transactions of its own, ahead of the one that stores a chunk: a number that ends up unused harms nobody, and
two workers that meet the same new combination at once agree through the tables' unique constraints.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

import psycopg

from streams.attribution import Payer
from streams.origin import Origin, Route

_Row = TypeVar("_Row", Route, Payer)

REMEMBERED_MAX = 500_000

_ROUTE_COLUMNS = ", ".join(Route._fields)
_PAYER_COLUMNS = 'department, attributed_by, "user", key'


class Dictionary:
    """Remembers numbers, asks SQL for new ones. Not for several threads at once."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self.routes: dict[Route, int] = {}
        self.payers: dict[Payer, int] = {}

    def number(self, origins: Collection[Origin]) -> None:
        """Give each origin its numbers; asks SQL for those that are not known here."""
        self._learn({origin.route for origin in origins}, {origin.payer for origin in origins})
        for origin in origins:
            origin.give_numbers(self.routes[origin.route], self.payers[origin.payer])

    def _learn(self, routes: Iterable[Route], payers: Iterable[Payer]) -> None:
        """Make sure that all of these have numbers here."""
        if len(self.routes) + len(self.payers) > REMEMBERED_MAX:
            self.routes.clear()
            self.payers.clear()
        new_routes = {route for route in routes if route not in self.routes}
        new_payers = {payer for payer in payers if payer not in self.payers}
        if new_routes:
            self.routes.update(self._numbers("route", _ROUTE_COLUMNS, new_routes))
        if new_payers:
            self.payers.update(self._numbers("payer", _PAYER_COLUMNS, new_payers))

    def _numbers(self, table: str, columns: str, wanted: set[_Row]) -> dict[_Row, int]:
        """The numbers of `wanted`, rows of one table; those it does not hold yet are added."""
        numbers: dict[_Row, int] = {}
        by_told: dict[tuple[bool, ...], list[_Row]] = {}
        for row in sorted(wanted, key=lambda row: tuple(value or "" for value in row)):
            by_told.setdefault(tuple(value is not None for value in row), []).append(row)
        for told, rows in by_told.items():
            numbers.update(self._numbers_of(table, columns, told, rows))
        return numbers

    def _numbers_of(self, table: str, columns: str, told: tuple[bool, ...], rows: list[_Row]) -> dict[_Row, int]:
        """The same for rows that tell the same columns, so that each is found by equality, through the unique index.

        `is not distinct from` would say all in one query, and compare every row with the whole table.
        """
        names = [name.strip() for name in columns.split(",")]
        arrays = [[row[place] for row in rows] for place in range(len(names))]
        asked = f"unnest({', '.join(['%s::text[]'] * len(names))}) with ordinality as asked ({columns}, place)"
        same = " and ".join(
            f"t.{name} = asked.{name}" if is_told else f"t.{name} is null"
            for name, is_told in zip(names, told, strict=True)
        )
        with self._connection.transaction():
            self._connection.execute(
                f"insert into {table} ({columns}) select {columns} from {asked} order by place on conflict do nothing",
                arrays,
            )
        with self._connection.transaction():
            found = self._connection.execute(
                f"select asked.place, t.id from {asked} join {table} t on {same}", arrays
            ).fetchall()
        return {rows[place - 1]: number for place, number in found}
