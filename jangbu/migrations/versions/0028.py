"""sql/migrations/0028.sql"""

from jangbu.migrate import run_file

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    run_file(revision)
