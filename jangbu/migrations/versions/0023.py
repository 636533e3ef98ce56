"""sql/migrations/0023.sql"""

from jangbu.migrate import run_file

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    run_file(revision)
