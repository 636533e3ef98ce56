"""sql/migrations/0029.sql"""

from jangbu.migrate import run_file

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    run_file(revision)
