"""sql/migrations/0011.sql"""

from jangbu.migrate import run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_file(revision)
