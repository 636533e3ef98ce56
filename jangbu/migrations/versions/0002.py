"""sql/migrations/0002.sql"""

from jangbu.migrate import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_file(revision)
