"""sql/migrations/0008.sql"""

from jangbu.migrate import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_file(revision)
