"""sql/migrations/0024.sql"""

from jangbu.migrate import run_file

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    run_file(revision)
