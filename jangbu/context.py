"""What every command starts from: settings, services, database logins, and who is acting."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Engine

    from billing.policy import MoneyPolicy
    from billing.pseudonyms import Pseudonyms
    from jangbu.services import Endpoints
    from jangbu.settings import Settings

Role = Literal["owner", "worker", "billing", "reader"]


@dataclass
class Context:
    """One command's run. `flags` are the settings given on the command line."""

    flags: Mapping[str, str | None]
    config: Path | None
    environ: Mapping[str, str]
    cwd: Path

    @cached_property
    def settings(self) -> Settings:
        """Resolved settings; raises SettingsError naming what is wrong."""
        from jangbu.settings import load

        return load(self.flags, self.environ, self.cwd, self.config)

    @property
    def settings_arguments(self) -> list[str]:
        """The settings given on this command line, for a command of ours that is started from here."""
        given = [word for name, value in self.flags.items() if value is not None for word in (_flag(name), value)]
        return given + (["--config", str(self.config)] if self.config is not None else [])

    @contextmanager
    def services(self, *, kafka: bool = False) -> Iterator[Endpoints]:
        """Join what runs (PostgreSQL is started alone where nothing runs); leave at the end."""
        from jangbu.services import join

        with join(self.settings, need={"postgres", "kafka"} if kafka else {"postgres"}) as endpoints:
            yield endpoints

    @contextmanager
    def engine(self, role: Role) -> Iterator[Engine]:
        """An engine for one of the logins, schema present; disposed of at the end."""
        with self.services() as endpoints, engine_for(endpoints, role) as engine:
            yield engine

    @cached_property
    def policy(self) -> MoneyPolicy:
        """The organisation's choices that decide money; raises SettingsError naming a setting that is wrong."""
        from jangbu.money_policy import policy_of

        return policy_of(self.settings)

    @cached_property
    def people(self) -> Pseudonyms | None:
        """What stands for users and keys in what is shown; None where they are shown by name."""
        if self.settings.people == "named":
            return None
        from billing.pseudonyms import Pseudonyms
        from jangbu.settings import resolve_pseudonym_key

        return Pseudonyms(resolve_pseudonym_key(self.settings))

    @property
    def today(self) -> date:
        """The day it is in the organisation's zone."""
        from billing.periods import load_zone

        return datetime.now(load_zone(self.settings.timezone)).date()

    @property
    def actor(self) -> str:
        """Who changes something from here: the operating-system user (the database adds its login)."""
        try:
            return f"os:{getpass.getuser()}"
        except (KeyError, OSError):
            return "os:unknown"


@contextmanager
def engine_for(endpoints: Endpoints, role: Role) -> Iterator[Engine]:
    """An engine for one login of services already joined; refuses a database without a schema."""
    from jangbu.database import connect, older_schema, require_schema
    from jangbu.errors import SettingsError

    urls = {
        "owner": endpoints.database_url,
        "worker": endpoints.database_url_worker,
        "billing": endpoints.database_url_billing,
        "reader": endpoints.database_url_reader,
    }
    engine = connect(urls[role])
    try:
        require_schema(engine)
        yield engine
    except Exception as error:
        if (sentence := older_schema(engine, error)) is not None:
            raise SettingsError(sentence) from error
        raise
    finally:
        engine.dispose()


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def connection_sentence(error: BaseException) -> str | None:
    """A sentence for a database or broker that is away or refuses us; None for any other error."""
    # Imported here: half a second that a command which ends well, or never connects, does not spend.
    import psycopg
    from kafka import errors as kafka_errors
    from sqlalchemy import exc as sql_errors

    from producers.broker_refusal import NotLetIn

    if isinstance(error, sql_errors.OperationalError | psycopg.OperationalError):
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        return f"the database does not answer: {said}; check JANGBU_DATABASE_URL (see `jangbu doctor`)"
    if isinstance(error, NotLetIn):
        return str(error)
    if isinstance(error, kafka_errors.KafkaConnectionError | kafka_errors.KafkaTimeoutError):
        return f"Kafka does not answer: {error}; check JANGBU_KAFKA_BOOTSTRAP (see `jangbu doctor`)"
    return None
