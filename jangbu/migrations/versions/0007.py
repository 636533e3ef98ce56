"""sql/migrations/0007.sql"""

from jangbu.migrate import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_file(revision)
