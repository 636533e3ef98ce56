"""sql/migrations/0021.sql"""

from jangbu.migrate import run_file

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_file(revision)
