"""sql/migrations/0022.sql"""

from jangbu.migrate import run_file

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_file(revision)
