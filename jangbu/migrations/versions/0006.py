"""sql/migrations/0006.sql"""

from jangbu.migrate import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_file(revision)
