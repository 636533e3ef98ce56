"""Connections to PostgreSQL for the commands: SQLAlchemy Core over psycopg 3."""

from __future__ import annotations

from sqlalchemy import URL, Engine, create_engine, make_url, text


def engine_url(url: str) -> URL:
    """`postgresql://…` as SQLAlchemy wants it: with the psycopg 3 driver named."""
    return make_url(url).set(drivername="postgresql+psycopg")


def connect(url: str) -> Engine:
    """An engine for one database login; UTC, and named so that an administrator sees who it is."""
    return create_engine(
        engine_url(url),
        connect_args={"application_name": "jangbu", "options": "-c timezone=UTC"},
        pool_pre_ping=True,
    )


def require_schema(engine: Engine) -> None:
    """Refuse a database that `jangbu migrate` has not prepared, by name and with the remedy."""
    from jangbu.errors import SettingsError

    with engine.connect() as connection:
        found = connection.execute(text("select to_regclass('public.usage_event')")).scalar()
    if found is None:
        raise SettingsError(f"the database {engine.url.database!r} has no jangbu tables: run `jangbu migrate` first")
