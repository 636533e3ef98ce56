"""sql/migrations/0004.sql"""

from jangbu.migrate import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_file(revision)
