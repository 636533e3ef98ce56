"""sql/migrations/0013.sql"""

from jangbu.migrate import run_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_file(revision)
