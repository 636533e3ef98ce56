"""sql/migrations/0010.sql"""

from jangbu.migrate import run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_file(revision)
