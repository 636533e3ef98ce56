"""A database that an earlier version of jangbu left: the command says so, instead of what SQL says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.command_world import CommandShell, use_database

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def shell(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> CommandShell:
    use_database(migrated_database, monkeypatch, tmp_path)
    return CommandShell(capsys)


def test_an_older_schema_is_named_with_what_to_do(shell: CommandShell, migrated_database: DatabaseUrls) -> None:
    tell(migrated_database, "drop table quarantine_decision cascade", "update alembic_version set version_num = '0012'")
    code, out, err = shell.run("quarantine", "list")
    assert (code, out) == (3, "")
    assert "is at schema 0012, this version needs 0" in err
    assert "run `jangbu migrate`" in err
    assert shell.run("statement", "list", "2026-10")[0] == 0  # what is there goes on


def test_a_table_that_is_gone_from_the_newest_schema_stays_unexpected(
    shell: CommandShell, migrated_database: DatabaseUrls
) -> None:
    tell(migrated_database, "drop table quarantine_decision cascade")
    code, _, err = shell.run("quarantine", "list")
    assert (code, "run `jangbu migrate`" in err) == (1, False)


def tell(urls: DatabaseUrls, *statements: str) -> None:
    with contextlib.closing(psycopg.connect(urls.owner, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)
