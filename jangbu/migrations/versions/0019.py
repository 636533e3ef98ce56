"""sql/migrations/0019.sql"""

from jangbu.migrate import run_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_file(revision)
