"""sql/migrations/0012.sql"""

from jangbu.migrate import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_file(revision)
