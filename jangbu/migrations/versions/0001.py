"""sql/migrations/0001.sql"""

from jangbu.migrate import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_file(revision)
