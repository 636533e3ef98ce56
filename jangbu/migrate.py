"""Bring a database to the newest schema: plain SQL from `sql/migrations/`, ordered by Alembic."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from jangbu.database import connect

LOCK_KEY = 0x6A616E67
"""Advisory lock: of two migrations started at once, one waits."""


def sql_directory() -> Path:
    """Where the .sql files are: inside an installed package, or beside it in a checkout."""
    packaged = Path(str(files("jangbu"))) / "sql"
    return packaged if packaged.is_dir() else Path(str(files("jangbu"))).parent / "sql"


def run_file(number: str) -> None:
    """Run `sql/migrations/NUMBER.sql` within the revision that asks for it."""
    from alembic import op

    script = (sql_directory() / "migrations" / f"{number}.sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(script)  # without parameters, so that a % in the script is a %


def migrate_database(owner_url: str) -> str:
    """Apply what is missing; the owner's URL. Returns the revision the database is at afterwards."""
    engine: Engine = connect(owner_url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": LOCK_KEY})
            connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            revision = connection.execute(text("select version_num from alembic_version")).scalar_one()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
            return str(revision)
    finally:
        engine.dispose()
