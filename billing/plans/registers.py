"""The registers of departments and budgets in PostgreSQL: reading them, and adding to them in one transaction.

Nothing here decides anything: what a file changes is worked out in `departments` and `budgets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.plans.budgets import BudgetRow
from billing.plans.departments import Department

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

REGISTER_LOCK = 0x6A620006
"""Advisory lock of imports: ids are given one after the other, without gaps."""
_DEPARTMENT_COLUMNS = ", ".join(Department._fields)
_BUDGET_COLUMNS = ", ".join(BudgetRow._fields)


def lock_registers(connection: Connection) -> None:
    """Taken before what is held is read, so that two imports at once compare with what the first one wrote."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": REGISTER_LOCK})


def held_departments(connection: Connection) -> list[Department]:
    """All rows by id, also those that a later one replaced."""
    rows = connection.execute(text(f"select {_DEPARTMENT_COLUMNS} from department order by id"))
    return [Department(*row) for row in rows]


def held_budgets(connection: Connection) -> list[BudgetRow]:
    """All rows by id, also those that a later one replaced."""
    rows = connection.execute(text(f"select {_BUDGET_COLUMNS} from budget order by id"))
    return [BudgetRow(*row) for row in rows]


def write_departments(
    connection: Connection, rows: Sequence[Department], *, name: str, sha256: str, actor: str
) -> None:
    """Add rows in the caller's transaction; the billing login, under `lock_registers`."""
    write_register(connection, "department", [row._asdict() for row in rows], name=name, sha256=sha256, actor=actor)


def write_budgets(connection: Connection, rows: Sequence[BudgetRow], *, name: str, sha256: str, actor: str) -> None:
    """Add rows in the caller's transaction; the billing login, under `lock_registers`."""
    write_register(connection, "budget", [row._asdict() for row in rows], name=name, sha256=sha256, actor=actor)


def unknown_departments(connection: Connection, codes: Sequence[str]) -> list[str]:
    """Those of some codes that neither the register, the roster nor usage knows: most likely mistyped."""
    rows = connection.execute(
        text("""
        select asked.code from unnest(cast(:codes as text[])) asked (code)
        where not exists (select from department d where d.department = asked.code)
          and not exists (select from roster r where r.department = asked.code)
          and not exists (select from payer y where y.department = asked.code)
        order by 1"""),
        {"codes": list(codes)},
    )
    return [row.code for row in rows]


def left_behind(connection: Connection, ends: Mapping[str, datetime]) -> dict[str, int]:
    """Departments that end, with the number of memberships that still lead to them from their end on: their people have
    to move in the roster. `ends`: the moment at which a department ends for good, by code."""
    rows = connection.execute(
        text("""
        select ended.code, count(*) as memberships
        from unnest(cast(:codes as text[]), cast(:ends as timestamptz[])) ended (code, moment)
        join roster r on r.department = ended.code and (r.valid_to is null or r.valid_to > ended.moment)
        cross join lateral department_at(r."user", r.key, greatest(ended.moment, r.valid_from)) d
        where d.department = ended.code
        group by ended.code order by ended.code"""),
        {"codes": list(ends), "ends": list(ends.values())},
    )
    return {row.code: row.memberships for row in rows}


def write_register(
    connection: Connection, table: str, rows: Sequence[dict[str, Any]], *, name: str, sha256: str, actor: str
) -> None:
    """Add rows of one register with the import that brought them; ids follow each other without gaps."""
    if not rows:
        return
    import_id = _next_id(connection, "register_import")
    connection.execute(
        text("""insert into register_import (id, register, name, sha256, rows_added, actor)
                values (:id, :register, :name, :sha256, :rows_added, :actor)"""),
        {"id": import_id, "register": table, "name": name, "sha256": sha256, "rows_added": len(rows), "actor": actor},
    )
    first_id = _next_id(connection, table)
    columns = ", ".join(f'"{column}"' for column in rows[0])
    places = ", ".join(f":{column}" for column in rows[0])
    connection.execute(
        text(f"insert into {table} (id, import_id, {columns}) values (:id, :import_id, {places})"),
        [{**row, "id": first_id + place, "import_id": import_id} for place, row in enumerate(rows)],
    )


def _next_id(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"select coalesce(max(id), 0) + 1 from {table}")).scalar_one())
