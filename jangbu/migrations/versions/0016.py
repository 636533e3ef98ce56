"""sql/migrations/0016.sql"""

from jangbu.migrate import run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_file(revision)
