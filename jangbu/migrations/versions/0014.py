"""sql/migrations/0014.sql"""

from jangbu.migrate import run_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_file(revision)
