"""sql/migrations/0005.sql"""

from jangbu.migrate import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_file(revision)
