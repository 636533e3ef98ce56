"""sql/migrations/0015.sql"""

from jangbu.migrate import run_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_file(revision)
