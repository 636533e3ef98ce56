"""What a close wants to know that billing cannot see: whether everything accepted has arrived, and the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.laws import rounding_of
from billing.ledger.checklist import Check
from billing.sentences import Sentence, said_by
from jangbu.auditing import run_check
from jangbu.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from billing.statements import MonthStatements
    from jangbu.settings import Settings

LAWS = ("1-accepted", "3-rounding", "4-balanced", "5-statements", "6-invoice", "7-hashes")
"""The laws that a close asks again; law 3 also on the month's own figures. Law 2 reads every event and is left to
`jangbu audit`: `period close --from-events` proves the same for the month."""


def check_outside(settings: Settings) -> Callable[[Connection, MonthStatements], Iterable[Check]]:
    """The checks of a data directory. Kafka is asked at once, so that no transaction waits for it."""
    arrived = caught_up(settings)
    return lambda connection, computed: (arrived, laws(connection, computed))


def caught_up(settings: Settings) -> Check:
    """Whether PostgreSQL has what the outbox and Kafka hold. It never blocks: what arrives later is corrected."""
    from jangbu.catching_up import wait_until_caught_up
    from jangbu.ingesting import outbox_path

    path = outbox_path(settings)
    name = "caught-up"
    try:
        found = wait_until_caught_up(settings, path if path.exists() else None, 0, lambda _sentence: None)
    except SettingsError as error:
        sentence = Sentence("whether everything has arrived is not known: %(why)s", why=said_by(error))
        return Check(name, "warn", sentence, Sentence("start it and look again"))
    if found.missing:
        remedy = Sentence("`jangbu wait --caught-up`; what comes later is corrected")
        return Check(name, "warn", found.missing, remedy)
    sentence = Sentence("PostgreSQL has everything that the outbox and %(topic)s hold", topic=found.log.topic)
    return Check(name, "ok", sentence)


def laws(connection: Connection, computed: MonthStatements) -> Check:
    """The laws of the books in the state that the connection sees."""
    results = [run_check(connection, law) for law in LAWS]
    rounding = rounding_of(computed)
    broken = [(one.law, one.violations) for one in results if one.violations]
    if rounding.violations:
        broken.append((rounding.law, list(rounding.violations)))
    if not broken:
        return Check("laws", "ok", Sentence("laws 1 and 3 to 7 hold (2 and 8: `jangbu audit`)"))
    named = "; ".join(f"law {law}: {violations[0]}" for law, violations in broken)
    sentence = Sentence("%(count)s laws are violated: %(named)s", count=len(broken), named=named)
    return Check("laws", "block", sentence, Sentence("`jangbu audit` names every violation"))
