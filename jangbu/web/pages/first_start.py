"""The first start: what an empty installation does next, each step ticked when it is done; demo data in one click."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text

from billing.sentences import Sentence
from jangbu.demo.filling import read_progress, start
from jangbu.errors import RefusedByStateError
from jangbu.web.rights import FINANCE_OR_PLATFORM
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Done, Form, Registered

STEPS: Final = (
    ("roster", "jangbu roster import roster.csv", "roster"),
    ("department", "jangbu department import departments.csv", "department"),
    ("price", "jangbu price seed", "price"),
    ("fx", "jangbu fx import fx.csv", "fx_rate"),
    ("vendor", "jangbu vendor import vendors.csv", "vendor"),
    ("events", "jangbu ingest FILE --format usage", "stream_chunk"),
)
"""(name, command, the table that has a row when it is done)."""


def read_first_start(ask: Ask) -> dict[str, Any]:
    """The steps, what a gateway has to be told, and where demo data is."""
    done = _filled(ask.connection)
    settings = ask.books.settings
    return {
        "steps": [{"step": name, "command": command, "done": name in done} for name, command, _ in STEPS],
        "gateway": {"kafka": settings.kafka_bootstrap, "url": settings.public_url or f"http://host:{settings.port}",
                    "callback": "jangbu.gateway.litellm.callback"},
        "demo": read_progress(settings), "can_fill": not done,
    }  # fmt: skip


def _filled(connection: Any) -> set[str]:
    """The steps whose table holds something."""
    asked = {name: text(f"select exists (select from {table})") for name, _, table in STEPS}
    return {name for name, statement in asked.items() if connection.execute(statement).scalar_one()}


def fill(ask: Ask, _form: Form) -> Done:
    """Bring a small month of the demo. Raises RefusedByStateError where the installation is not empty."""
    settings = ask.books.settings
    progress = read_progress(settings)
    if progress is not None and progress["state"] == "running":
        raise RefusedByStateError(Sentence("demo data is being brought already: look at the overview"))
    with ask.books.change() as connection:
        found = _filled(connection)
        if found:
            raise RefusedByStateError(
                Sentence(
                    "demo data goes into an empty installation alone, and this one has %(found)s: use `jangbu demo`, "
                    "which makes an installation of its own",
                    found=", ".join(sorted(found)),
                )
            )
        note(connection, ask.identity, "demo_data", "installation")
    start(ask.books.context)
    return Done("/", ask.text("Demo data is on its way: this page says how far it is."), {"started": True})


REGISTERED: Final[tuple[Registered, ...]] = (
    Action(path="/usage/demo", title="Bring demo data", rule=FINANCE_OR_PLATFORM, do=fill,
           about="Bring a small month of an invented city into an empty installation, through the real path."),
)  # fmt: skip
