"""sql/migrations/0020.sql"""

from jangbu.migrate import run_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_file(revision)
