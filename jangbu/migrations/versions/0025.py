"""sql/migrations/0025.sql"""

from jangbu.migrate import run_file

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    run_file(revision)
