"""How many people departments have: who used something in a month, and whom the roster names at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from billing.periods import Month


def read_active_users(connection: Connection, month: Month) -> dict[str, int]:
    """People with use in a month, by department; one who moved counts in each. Keys are no people."""
    rows = connection.execute(
        text("""
        select department, count(*) from (
          select y.department, y."user" from usage_part p join payer y on y.id = p.payer_id
          where p.hour >= :first and p.hour < :end and y.department is not null and y."user" is not null
          group by y.department, y."user" having sum(p.events) > 0) active
        group by department"""),
        {"first": month.first_hour, "end": month.end_hour},
    )
    return {department: int(count) for department, count in rows}


def read_headcount(connection: Connection, month: Month) -> dict[str, int]:
    """People of the roster by the department that they belong to at the month's last moment."""
    rows = connection.execute(
        text("""
        select d.department, count(*)
        from (select distinct "user" from roster where "user" is not null) r
        cross join lateral department_at(r."user", null, hour_start(:end) - interval '1 microsecond') d
        where d.department is not null
        group by d.department"""),
        {"end": month.end_hour},
    )
    return {department: int(count) for department, count in rows}
