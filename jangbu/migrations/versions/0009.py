"""sql/migrations/0009.sql"""

from jangbu.migrate import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_file(revision)
