"""Statements of closed months as they were kept: the text that was hashed is what is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from billing.charges import Department


@dataclass(frozen=True, slots=True)
class KeptStatement:
    """One statement of a closed month with its document as `statement show` prints it."""

    department: Department
    is_organisation: bool
    document: dict[str, Any]


def read_kept(connection: Connection, month: str, department: Department | tuple[()] = ()) -> list[KeptStatement]:
    """The statements of a closed month by code, the unattributed one last, the organisation's at the end; or that of
    one department. Nothing for a month that is not closed."""
    rows = connection.execute(
        text("""select kind, department, department_name, document, content_hash from statement
                where month = :month and (:all or (kind = 'department' and department is not distinct from :department))
                order by kind, department collate "C" nulls last"""),
        {"month": month, "all": department == (), "department": None if department == () else department},
    )
    return [
        KeptStatement(
            row.department,
            row.kind == "organisation",
            {
                **json.loads(row.document),
                "department_name": row.department_name,
                "status": "closed",
                "content_hash": row.content_hash,
            },
        )
        for row in rows
    ]
