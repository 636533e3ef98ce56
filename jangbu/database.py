"""Connections to PostgreSQL for the commands: SQLAlchemy Core over psycopg 3."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Engine, NullPool, QueuePool, create_engine, make_url, text


def engine_url(url: str) -> URL:
    """`postgresql://…` as SQLAlchemy wants it: with the psycopg 3 driver named."""
    return make_url(url).set(drivername="postgresql+psycopg")


def connect(url: str, *, is_pooled: bool = True) -> Engine:
    """An engine for one database login; UTC, and named so that an administrator sees who it is. `is_pooled`: its
    connections are few and used again; else each is opened for its use and closed.

    Statements that come again are planned for their own values: a plan for any values does not know that a department
    has forty people, and read a month of all of them (4 to 5 times as slow from the sixth time on).
    """
    return create_engine(
        engine_url(url),
        connect_args={"application_name": "jangbu", "options": "-c timezone=UTC -c plan_cache_mode=force_custom_plan"},
        pool_pre_ping=is_pooled,
        poolclass=QueuePool if is_pooled else NullPool,
    )


def require_schema(engine: Engine) -> None:
    """Refuse a database that `jangbu migrate` has not prepared, by name and with the remedy."""
    from jangbu.errors import SettingsError

    with engine.connect() as connection:
        found = connection.execute(text("select to_regclass('public.usage_event')")).scalar()
    if found is None:
        raise SettingsError(f"the database {engine.url.database!r} has no jangbu tables: run `jangbu migrate` first")


def older_schema(engine: Engine, error: BaseException) -> str | None:
    """A sentence for an error that a database of an earlier version of jangbu gives; None for any other."""
    from psycopg import errors
    from sqlalchemy.exc import ProgrammingError

    undefined = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
    if not isinstance(error, ProgrammingError) or not isinstance(error.orig, undefined):
        return None
    newest = max(file.stem for file in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))
    with engine.connect() as connection:
        revision = connection.execute(text("select max(version_num) from alembic_version")).scalar()
    if revision is None or str(revision) >= newest:
        return None
    name = engine.url.database
    return f"the database {name!r} is at schema {revision}, this version needs {newest}: run `jangbu migrate`"
