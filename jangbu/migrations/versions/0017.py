"""sql/migrations/0017.sql"""

from jangbu.migrate import run_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_file(revision)
