"""sql/migrations/0003.sql"""

from jangbu.migrate import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_file(revision)
