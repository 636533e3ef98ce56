"""The login that docs/web.md gives to a reporting tool reads what the page names, and nothing else."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

PAGE = Path(__file__).resolve().parents[2] / "docs" / "web.md"
WHOLE = {
    "usage_unit", "usage_event_named", "usage_flag_named", "invoice_line_current", "break_standing", "statement",
    "ledger_entry", "ledger_line", "period_close", "price", "fx_rate", "pledge",
}  # fmt: skip
IN_PART = {"quota", "alert"}


@pytest.fixture(scope="module")
def report(module_database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    """A connection of the page's login, under another name: roles are the cluster's."""
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    name, password = f"bi_{secrets.token_hex(4)}", secrets.token_hex(8)
    statements = re.sub(r"\bbi\b", name, block.replace("of your choice", password))
    url = module_database.owner.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(statements)
        try:
            with psycopg.connect(make_conninfo(url, user=name, password=password), autocommit=True) as connection:
                yield connection
        finally:
            owner.execute(f"grant {name} to current_user; drop owned by {name}; drop role {name}")


def test_a_report_reads_what_the_page_names_and_nothing_else(report: psycopg.Connection) -> None:
    """Each relation of the schema, so that a new one is nobody's until the page says so; and none is changed."""
    rows = report.execute(
        """select relname, has_table_privilege(oid, 'select'), has_any_column_privilege(oid, 'select'),
                  has_table_privilege(oid, 'insert, update, delete, truncate')
           from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')"""
    ).fetchall()
    assert {name for name, whole, _, _ in rows if whole} == WHOLE
    assert {name for name, _, some, _ in rows if some} == WHOLE | IN_PART
    assert not any(changes for *_, changes in rows)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_it_may_read_it_can(report: psycopg.Connection, name: str) -> None:
    """A view reads its tables as its owner."""
    report.execute(f"select * from {name} limit 1")


@pytest.mark.parametrize("statement", ["select notify from quota", "select notify from alert", "table usage_view"])
def test_what_lets_somebody_in_or_is_private_it_cannot_read(report: psycopg.Connection, statement: str) -> None:
    """A webhook's path, and what people have kept for themselves."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        report.execute(statement)
