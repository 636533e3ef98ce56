"""sql/migrations/0027.sql"""

from jangbu.migrate import run_file

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    run_file(revision)
