"""sql/migrations/0018.sql"""

from jangbu.migrate import run_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_file(revision)
