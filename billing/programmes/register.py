"""Programmes and applications in PostgreSQL. Nothing here decides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.plans.registers import lock_registers, write_register
from billing.programmes.programme import Application, Programme, counting_applications, counting_programmes

if TYPE_CHECKING:
    from collections.abc import Sequence


def held_programmes(connection: Connection) -> dict[str, Programme]:
    """The programmes that count, by code."""
    rows = connection.execute(
        text("""select programme, name, starts_on, ends_on, places, department_codes, department_numbers, budget,
                       currency, models, rules_version, rules from programme order by id""")
    )
    return counting_programmes(
        Programme(
            row.programme,
            row.name,
            row.starts_on,
            row.ends_on,
            row.places,
            tuple(zip(row.department_codes, row.department_numbers, strict=True)),
            row.budget,
            row.currency,
            tuple(row.models),
            row.rules_version,
            tuple(row.rules),
        )
        for row in rows
    )


def held_applications(connection: Connection) -> list[Application]:
    """The applications that count."""
    rows = connection.execute(
        text('select programme, "user", department, applied_at, left_at from programme_application order by id')
    )
    return counting_applications(Application(*row) for row in rows)


def write_programmes(connection: Connection, rows: Sequence[Programme], *, name: str, sha256: str, actor: str) -> None:
    """Add rows in the caller's transaction; the billing login."""
    lock_registers(connection)
    values: list[dict[str, Any]] = []
    for row in rows:
        value = row._asdict()
        by_department = value.pop("department_places")
        value |= {
            "department_codes": [code for code, _ in by_department],
            "department_numbers": [number for _, number in by_department],
            "models": list(row.models),
            "rules": list(row.rules),
        }
        values.append(value)
    write_register(connection, "programme", values, name=name, sha256=sha256, actor=actor)


def write_applications(
    connection: Connection, rows: Sequence[Application], *, name: str, sha256: str, actor: str
) -> None:
    """Add rows in the caller's transaction; the billing login."""
    lock_registers(connection)
    values = [row._asdict() for row in rows]
    write_register(connection, "programme_application", values, name=name, sha256=sha256, actor=actor)
