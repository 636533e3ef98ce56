"""sql/migrations/0026.sql"""

from jangbu.migrate import run_file

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    run_file(revision)
